"""A card template: compiled once, expanded with data as often as needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from notifier.errors import TemplateError
from notifier.templating.compiler import compile_node
from notifier.templating.interpolation import split_text
from notifier.templating.parser import parse
from notifier.templating.paths import Evaluate, Place
from notifier.templating.scope import LONG, Scope
from notifier.templating.syntax import Call, Constant, Index, Node, paths_in, show
from notifier.templating.values import (
    DROP,
    UNDEFINED,
    AbortError,
    Drop,
    EvaluationError,
    NoResultError,
    Value,
    plain,
    to_text,
)

MAX_DEPTH = 64
"""Deepest nesting of a template."""

_RESERVED = frozenset({"$data", "$when", "$root", "$index", "$host", "$_acTemplateVersion"})


@dataclass(frozen=True, slots=True)
class Clean:
    """How values from the data are made harmless where they are shown."""

    change: Callable[[Value], Value]
    """Returns what is shown, or DROP when the element must not be."""
    whole: bool = False
    """Whether it wants the whole text, as for an address, rather than each value in it."""
    text: Callable[[str], str] | None = None
    """What `change` does to text, where that is always text again: most values are."""


Guard = Callable[[Mapping[str, JsonValue], str], Clean | None]
"""Tells how values shown in a member of an element are made harmless."""

_PLAIN_TYPES = frozenset({str, bool, type(None), Drop})
"""Types that are JSON as they are."""

_Expand = Callable[[Scope], object]


@dataclass(frozen=True, slots=True)
class _Part:
    """Literal text, or an expression and what it looks like."""

    literal: Value
    evaluate: Evaluate | None = None
    shown: str = ""
    indexing: bool = False


def _no_guard(_element: Mapping[str, JsonValue], _key: str) -> Clean | None:
    return None


class Template:
    """A card in Microsoft's Adaptive Cards Templating language.

    It expands as the npm package adaptivecards-templating 2.3.1 does (en-US, UTC); docs/templating.md names
    the differences. What comes from data is never read as a template: `${…}` in it stays text.

    Args:
        card: The template.
        guard: Makes values from the data harmless by where they are shown; without one they stay as they are.

    Raises:
        TemplateError: An expression does not parse or uses an unknown or refused function; names its JSON path.
    """

    def __init__(self, card: JsonValue, guard: Guard = _no_guard) -> None:
        self._paths: set[str] = set()
        self._guard = guard
        try:
            compiled = self._compile(card, "$", 0, None)
        except RecursionError:
            raise TemplateError("an expression is too long a chain; split it") from None
        self._expand: _Expand = compiled if callable(compiled) else lambda _: compiled

    @property
    def paths(self) -> frozenset[str]:
        """Return the data paths that the template reads, such as data.claim_id."""
        return frozenset(self._paths)

    def expand(
        self,
        data: JsonValue,
        host: JsonValue = None,
        *,
        missing: Callable[[str], str] | None = None,
    ) -> JsonValue:
        """Return the card for these data; it may share parts with `data` and the template, so it is read-only.

        Args:
            data: What $root and, at first, $data mean.
            host: What $host means.
            missing: Gives the text for an expression without value, from what stands inside its `${…}`. Without it
                that stays visible as `${…}`, and what the reference throws at raises an error.

        Raises:
            TemplateError: An expression fails for these data, or the expansion takes too much work.
        """
        scope = Scope(
            data, data, UNDEFINED, UNDEFINED if host is None else host,
            missing or _stay_visible, missing is not None, [0],
        )  # fmt: skip
        try:
            result = self._expand(scope)
        except (EvaluationError, AbortError) as exc:
            raise TemplateError(str(exc)) from None
        except RecursionError:
            raise TemplateError("the data are nested too deeply") from None
        return None if result is UNDEFINED else result  # type: ignore[return-value]

    def _compile(
        self, node: JsonValue, path: str, depth: int, clean: Clean | None
    ) -> JsonValue | _Expand:
        """Return how the node is expanded, or the node itself when it is always the same."""
        if depth > MAX_DEPTH:
            raise TemplateError(
                f"{path}: the template is nested more than {MAX_DEPTH} deep; flatten it"
            )
        if isinstance(node, str):
            return self._compile_text(node, path, clean)
        if isinstance(node, list):
            return self._compile_list(node, path, depth, clean)
        if isinstance(node, dict):
            return self._compile_object(node, path, depth)
        return cast("JsonValue", plain(node))

    def _compile_list(
        self, nodes: list[JsonValue], path: str, depth: int, clean: Clean | None
    ) -> JsonValue | _Expand:
        items = [
            self._compile(item, f"{path}[{number}]", depth + 1, clean)
            for number, item in enumerate(nodes)
        ]
        return _array(items)

    def _compile_object(
        self, node: dict[str, JsonValue], path: str, depth: int
    ) -> JsonValue | _Expand:
        # What is reserved is not shown, yet it has to be right, as in the reference.
        everything = {
            key: self._compile(value, f"{path}.{key}", depth + 1, self._guard(node, key))
            for key, value in node.items()
            if key not in {"$data", "$when"}
        }
        members = {key: value for key, value in everything.items() if key not in _RESERVED}
        fixed = {key: None if callable(value) else value for key, value in members.items()}
        expanded = [(key, value) for key, value in members.items() if callable(value)]
        if "$data" not in node and "$when" not in node and not expanded:
            return fixed

        def build(scope: Scope) -> object:
            built: dict[str, object] = dict(fixed)
            for key, expand in expanded:
                value = expand(scope)
                if value is DROP:
                    return None
                if value is UNDEFINED:
                    del built[key]
                else:
                    built[key] = value
            return built

        body: _Expand = build
        if "$when" in node:
            body = _guarded(build, self._compile_when(node["$when"], f"{path}.$when"))
        if "$data" not in node:
            return body
        raw = node["$data"]
        context = (
            self._compile_text(raw, f"{path}.$data", None, shown=False)
            if isinstance(raw, str)
            else raw
        )
        return _repeated(body, context, 1 + len(members))

    def _compile_when(self, raw: JsonValue, path: str) -> Evaluate:
        if not isinstance(raw, str) or "${" not in raw:
            # As in the reference: what is no expression drops the element, unless it is empty.
            self._compile(raw, path, 0, None)
            kept = raw is None or raw is False or raw in (0, "")
            return lambda _: kept
        nodes = self._nodes(raw, path)
        alone = len(nodes) == 1 and not isinstance(nodes[0], Constant)
        node = nodes[0] if alone else Call("concat", (Constant(""), *nodes))
        return self._evaluate(node, path, Place(condition=True))

    def _compile_text(
        self, text: str, path: str, clean: Clean | None, *, shown: bool = True
    ) -> str | _Expand:
        if "${" not in text:
            return text
        nodes = self._nodes(text, path)
        if len(nodes) == 1 and not isinstance(nodes[0], Constant):
            [node] = nodes
            # The reference concatenates in its own way, part by part, also where concat is written out.
            if not (isinstance(node, Call) and node.function == "concat"):
                evaluate = self._evaluate(node, path, Place())
                return _single(evaluate, show(node), path, clean, shown=shown)
            self._evaluate(node, path, Place())
            nodes = list(node.arguments)
        parts = [
            _Part(node.value, None, show(node))
            if isinstance(node, Constant)
            else _Part(
                "", self._evaluate(node, path, Place()), show(node), isinstance(node, Index)
            )
            for node in nodes
        ]
        return _interpolated(parts, path, clean)

    def _nodes(self, text: str, path: str) -> list[Node]:
        try:
            return [
                Constant(part) if isinstance(part, str) else parse(part.source)
                for part in split_text(text)
            ]
        except TemplateError as exc:
            raise TemplateError(f"{path}: {exc}") from None

    def _evaluate(self, node: Node, path: str, place: Place) -> Evaluate:
        self._paths |= paths_in(node)
        try:
            return compile_node(node, place)
        except (TemplateError, EvaluationError) as exc:
            raise TemplateError(f"{path}: {exc}") from None


def _stay_visible(shown: str) -> str:
    return f"${{{shown}}}"


def _single(
    evaluate: Evaluate, expression: str, path: str, clean: Clean | None, *, shown: bool
) -> _Expand:
    """Bind a whole value, keeping its type; one that is shown becomes JSON."""
    change = None if clean is None else clean.change

    def single(scope: Scope) -> object:
        try:
            value = evaluate(scope)
        except (EvaluationError, AbortError) as exc:
            if scope.lenient:
                return scope.missing(expression)
            raise EvaluationError(f"{path}: {exc}") from None
        if change is not None:
            value = change(value)
        if type(value) is str:
            if len(value) > LONG:
                scope.weigh(value)
            return value
        if not shown or type(value) in _PLAIN_TYPES or value is UNDEFINED:
            return value
        scope.weigh_all(value)
        return plain(value)

    return single


def _interpolated(parts: list[_Part], path: str, clean: Clean | None) -> _Expand:
    literals = ["" if part.evaluate else _literal(part.literal) for part in parts]
    each = clean if clean is not None and not clean.whole else None
    quick = None if each is None else each.text
    changing = [
        (number, part.evaluate, part.shown, part.indexing)
        for number, part in enumerate(parts)
        if part.evaluate is not None or part.literal is None or part.literal is UNDEFINED
    ]

    def interpolated(scope: Scope) -> object:
        texts = literals.copy()
        for number, evaluate, shown, indexing in changing:
            try:
                value = None if evaluate is None else evaluate(scope)
            except (EvaluationError, AbortError) as exc:
                if indexing and isinstance(exc, NoResultError) and not scope.lenient:
                    raise
                value = scope.missing(shown)
            if type(value) is str and (quick is not None or each is None):
                texts[number] = value if quick is None else quick(value)
                continue
            if value is None or value is UNDEFINED:
                if not scope.lenient:
                    raise EvaluationError(f"{path}: {shown} is null, which text cannot show")
                value = scope.missing(shown)
            elif each is not None:
                value = each.change(value)
            if isinstance(value, list):
                scope.weigh_all(value)
            texts[number] = value if isinstance(value, str) else to_text(value)
        text = "".join(texts)
        if len(text) > LONG:
            scope.weigh(text)
        return clean.change(text) if clean is not None and clean.whole else text

    return interpolated


def _literal(value: Value) -> str:
    return "" if value is None or value is UNDEFINED else to_text(value)


def _array(items: list[JsonValue | _Expand]) -> JsonValue | _Expand:
    if not any(callable(item) for item in items):
        fixed: list[JsonValue] = []
        for item in items:
            fixed.extend(item if isinstance(item, list) else [] if item is None else [item])  # type: ignore[list-item]
        return fixed

    steps = [(item, True) if callable(item) else (item, False) for item in items]

    def array(scope: Scope) -> object:
        result: list[object] = []
        for item, changing in steps:
            value = item(scope) if changing else item  # type: ignore[misc,operator]
            if type(value) is dict:
                result.append(value)
            elif isinstance(value, list):
                result.extend(value)
            elif value is not None:
                result.append(None if value is UNDEFINED else value)
        return result

    return array


def _guarded(build: _Expand, when: Evaluate) -> _Expand:
    def guarded(scope: Scope) -> object:
        try:
            kept = when(scope) is True
        except AbortError:
            if not scope.lenient:
                raise
            kept = False
        except EvaluationError:
            kept = False
        return build(scope) if kept else None

    return guarded


def _repeated(body: _Expand, context: JsonValue | _Expand, weight: int) -> _Expand:
    def repeated(scope: Scope) -> object:
        data = context(scope) if callable(context) else context
        if not isinstance(data, list):
            return body(scope if data is UNDEFINED else scope.at(data, scope.index))
        scope.count(len(data) * weight)
        results: list[object] = []
        for index, item in enumerate(data):
            built = body(scope.at(scope.data if item is UNDEFINED else item, index))
            if built is not None:
                results.append(built)
        if not results:
            return None
        return results[0] if len(results) == 1 else results

    return repeated
