"""A card template: compiled once, expanded with data as often as needed."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from notifier.errors import TemplateError
from notifier.templating.compiler import Evaluate, Scope, compile_node, paths_in
from notifier.templating.parser import parse, path_of, unescape
from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Value,
    is_nothing,
    plain,
    to_text,
)

MAX_DEPTH = 64
"""Deepest nesting of a template."""

_RESERVED = frozenset({"$data", "$when", "$root", "$index", "$host", "$_acTemplateVersion"})
_DROPPED = object()

Expand = Callable[[Scope], object]


class Template:
    """A card in Microsoft's Adaptive Cards Templating language.

    What comes from data is never read as a template: `${…}` in it stays text.

    Raises:
        TemplateError: An expression does not parse or uses an unknown or refused function; names its JSON path.
    """

    def __init__(self, card: JsonValue) -> None:
        self._paths: set[str] = set()
        self._expand = self._compile(card, "$", 0)

    @property
    def paths(self) -> frozenset[str]:
        """Return the data paths that the template reads, such as data.claim_id."""
        return frozenset(self._paths)

    def expand(self, data: JsonValue, host: JsonValue = None) -> JsonValue:
        """Return the card for these data; the result may share parts with `data`, so treat both as read-only.

        Raises:
            TemplateError: A binding fails for these data, or the expansion takes too much work.
        """
        scope = Scope(data, data, UNDEFINED, host, {}, [0])
        try:
            result = self._expand(scope)
        except EvaluationError as exc:
            raise TemplateError(str(exc)) from None
        except RecursionError:
            raise TemplateError("the data are nested too deeply") from None
        return None if result is _DROPPED or result is UNDEFINED else result  # type: ignore[return-value]

    def _compile(self, node: JsonValue, path: str, depth: int) -> Expand:
        if depth > MAX_DEPTH:
            raise TemplateError(
                f"{path}: the template is nested more than {MAX_DEPTH} deep; flatten it"
            )
        if isinstance(node, str):
            return self._compile_text(node, path, substitute=True)
        if isinstance(node, list):
            return _array(
                [
                    self._compile(item, f"{path}[{number}]", depth + 1)
                    for number, item in enumerate(node)
                ]
            )
        if isinstance(node, dict):
            return self._compile_object(node, path, depth)
        return lambda _: node

    def _compile_object(self, node: dict[str, JsonValue], path: str, depth: int) -> Expand:
        members = [
            (key, self._compile(value, f"{path}.{key}", depth + 1))
            for key, value in node.items()
            if key not in _RESERVED
        ]

        def build(scope: Scope) -> object:
            scope.step()
            built: dict[str, object] = {}
            for key, expand in members:
                value = expand(scope)
                if value is not UNDEFINED:
                    built[key] = None if value is _DROPPED else value
            return built

        when = self._compile_when(node["$when"], path) if "$when" in node else None
        body = _guarded(build, when) if when is not None else build
        if "$data" not in node:
            return body
        raw = node["$data"]
        context: Expand
        if isinstance(raw, str):
            context = self._compile_text(raw, f"{path}.$data", substitute=True)
        else:
            context = lambda _: raw  # noqa: E731 - the simplest form of a constant
        return _repeated(body, context)

    def _compile_when(self, raw: JsonValue, path: str) -> Expand:
        if not isinstance(raw, str) or "${" not in raw:
            # As in the reference: what is no expression drops the element.
            return lambda _: not raw
        return self._compile_text(raw, f"{path}.$when", substitute=False)

    def _compile_text(self, text: str, path: str, *, substitute: bool) -> Expand:
        if "${" not in text:
            return lambda _: text
        try:
            parts = [self._compile_part(*part) for part in split_text(text)]
        except TemplateError as exc:
            raise TemplateError(f"{path}: {exc}") from None
        if len(parts) == 1:
            [(literal, evaluate, shown, is_path)] = parts
            if evaluate is None:
                return lambda _: literal
            return _single(evaluate, shown if is_path and substitute else None, path)
        return _interpolated(parts)

    def _compile_part(
        self, text: str, is_expression: bool
    ) -> tuple[str, Evaluate | None, str, bool]:
        if not is_expression:
            return text, None, "", False
        node = parse(text)
        self._paths |= paths_in(node)
        path = path_of(node)
        return "", compile_node(node), path or text.strip(), path is not None


def split_text(text: str) -> list[tuple[str, bool]]:
    r"""Split `a ${b} c` into ("a ", False), ("b", True), (" c", False); `\${` is a literal `${`.

    Raises:
        TemplateError: An expression is not closed.
    """
    parts: list[tuple[str, bool]] = []
    literal = ""
    at = 0
    while at < len(text):
        if text.startswith("\\$", at):
            literal += "$"
            at += 2
        elif text.startswith("${", at):
            end = _closing(text, at + 2)
            if literal:
                parts.append((literal, False))
                literal = ""
            parts.append((text[at + 2 : end], True))
            at = end + 1
        else:
            literal += text[at]
            at += 1
    if literal:
        parts.append((unescape(literal) if "\\" in literal else literal, False))
    return parts


def _closing(text: str, start: int) -> int:
    """Return where the expression that starts at `start` ends; braces in its strings do not count."""
    quote = ""
    depth = 0
    at = start
    while at < len(text):
        sign = text[at]
        if quote:
            if sign == "\\":
                at += 1
            elif sign == quote:
                quote = ""
        elif sign in "'\"`":
            quote = sign
        elif sign == "{":
            depth += 1
        elif sign == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    raise TemplateError(f"expression {text[start - 2 : start + 40]!r} has no closing brace")


def _single(evaluate: Evaluate, shown: str | None, path: str) -> Expand:
    """Bind a whole value, keeping its type; a path without value stays visible as in the reference."""

    def single(scope: Scope) -> object:
        try:
            value = evaluate(scope)
        except EvaluationError as exc:
            if shown is None and path.endswith(".$when"):
                return False
            raise EvaluationError(f"{path}: {exc}") from None
        if shown is not None and is_nothing(value):
            return f"${{{shown}}}"
        return (
            plain(value) if isinstance(value, list | dict) and _has_undefined(value) else value
        )

    return single


def _has_undefined(value: Value) -> bool:
    if isinstance(value, list):
        return any(item is UNDEFINED for item in value)
    return False


def _interpolated(parts: list[tuple[str, Evaluate | None, str, bool]]) -> Expand:
    def interpolated(scope: Scope) -> object:
        texts: list[str] = []
        for literal, evaluate, shown, _ in parts:
            if evaluate is None:
                texts.append(literal)
                continue
            try:
                value = evaluate(scope)
                texts.append(f"${{{shown}}}" if is_nothing(value) else to_text(value))
            except EvaluationError:
                texts.append(f"${{{shown}}}")
        return "".join(texts)

    return interpolated


def _array(items: list[Expand]) -> Expand:
    def array(scope: Scope) -> object:
        result: list[object] = []
        for expand in items:
            value = expand(scope)
            if value is None or value is _DROPPED:
                continue
            if isinstance(value, list):
                result.extend(value)
            else:
                result.append(value)
        return result

    return array


def _guarded(build: Expand, when: Expand) -> Expand:
    def guarded(scope: Scope) -> object:
        return build(scope) if when(scope) is True else _DROPPED

    return guarded


def _repeated(body: Expand, context: Expand) -> Expand:
    def repeated(scope: Scope) -> object:
        data = context(scope)
        if not isinstance(data, list):
            if data is UNDEFINED:
                return body(scope)
            return body(
                Scope(scope.root, data, scope.index, scope.host, scope.local, scope.steps)
            )
        results: list[object] = []
        for index, item in enumerate(data):
            scope.step()
            built = body(Scope(scope.root, item, index, scope.host, scope.local, scope.steps))
            if built is not _DROPPED:
                results.append(built)
        if not results:
            return _DROPPED
        return results[0] if len(results) == 1 else results

    return repeated
