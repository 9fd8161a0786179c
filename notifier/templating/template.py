"""Compile a card template once, and expand it with data many times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from pydantic import JsonValue

from notifier.errors import TemplateError
from notifier.templating.ast import Call, Constant, Index, Node, show, weight_of
from notifier.templating.codegen import MAX_BLOCKS, FunctionSource
from notifier.templating.compiler import write_node
from notifier.templating.containers import (
    CompiledNode,
    DynamicNode,
    MayBe,
    StaticNode,
    repeated,
    write_array,
    write_object,
)
from notifier.templating.escape import Escape, Omit
from notifier.templating.interpolation import Piece, write_interpolated, write_single
from notifier.templating.parser import parse_text
from notifier.templating.paths import ExpressionContext, paths_named, paths_read
from notifier.templating.scope import Scope
from notifier.templating.values import DROP, UNDEFINED, AbortError, EvaluationError, plain

MAX_DEPTH = 64
"""Deepest nesting of a template."""

_RESERVED = frozenset({"$data", "$when", "$root", "$index", "$host", "$_acTemplateVersion"})


AutoEscape = Callable[[Mapping[str, JsonValue], str], Escape | None]
"""Returns the escape of values in a member of an element."""


class Template:
    """A card in Microsoft's Adaptive Cards Templating language.

    It expands as the npm package adaptivecards-templating 2.3.1 does (en-US, UTC); docs/reference/template-language.md names
    the differences. Data are never read as a template: `${…}` in them stays text.

    Args:
        card: The template.
        autoescape: Returns the escape of values in a member of an element; without it values stay as they are.

    Raises:
        TemplateError: An expression does not parse or uses an unknown or refused function; names its JSON path.
    """

    def __init__(
        self, card: JsonValue, autoescape: AutoEscape = lambda _element, _key: None
    ) -> None:
        self._paths: set[str] = set()
        self._may_read: set[str] = set()
        self._autoescape = autoescape
        self._weight = 0
        """Work of the expressions written so far, in steps."""
        try:
            source = FunctionSource()
            self._expand = source.function(self._write(card, "$", 0, None, source).atom(source))
        except RecursionError:
            raise TemplateError("an expression is a chain that is too long; split it") from None
        self._firsts = frozenset(path.partition(".")[0].lower() for path in self._may_read)
        self._looks_up = any(first.startswith("$") for first in self._firsts)
        """Whether it reads data other than by members of known names."""

    @property
    def paths(self) -> frozenset[str]:
        """Return the data paths that it names, except from names it binds."""
        return frozenset(self._paths)

    def may_read(self, name: str) -> bool:
        """Tell whether it may read this member of the data; a no is certain."""
        return self._looks_up or name in self._firsts

    def members_read(self, name: str) -> frozenset[str] | None:
        """Return the members of this member that it reads; None means all."""
        members: set[str] = set()
        for path in self._may_read:
            first, *rest = path.lower().removeprefix("$root.").removeprefix("$data.").split(".")
            if first == name and not rest:
                return None
            if first == name:
                members.add(rest[0])
        return frozenset(members)

    def expand(
        self,
        data: JsonValue,
        host: JsonValue = None,
        *,
        missing: Callable[[str], str] | None = None,
    ) -> JsonValue:
        """Return the card for these data.

        It may share parts with `data` and the template, so do not change it.

        Args:
            data: The value of $root and, at first, of $data.
            host: The value of $host.
            missing: Gives the text for an expression without value, from the text inside its `${…}`. Without it
                `${…}` stays visible, and an expression at which the reference throws raises an error.

        Raises:
            TemplateError: An expression fails for these data, or the expansion takes too much work.
        """
        scope = Scope(
            data, data, UNDEFINED, UNDEFINED if host is None else host,
            missing or "${{{}}}".format, missing is not None, [0], {},
        )  # fmt: skip
        try:
            result = self._expand(scope)
        except (EvaluationError, AbortError) as exc:
            raise TemplateError(str(exc)) from None
        except RecursionError:
            raise TemplateError("the data are nested too deeply") from None
        return None if result is UNDEFINED or result is DROP else result  # type: ignore[return-value]

    def _write(
        self,
        node: JsonValue,
        path: str,
        depth: int,
        escape: Escape | None,
        source: FunctionSource,
    ) -> CompiledNode:
        """Add the statements that expand a node; returns the compiled node."""
        self._weight += 1
        if depth > MAX_DEPTH:
            raise TemplateError(
                f"{path}: the template is nested more than {MAX_DEPTH} deep; flatten it"
            )
        if isinstance(node, str):
            return self._write_text(node, path, escape, source)
        if isinstance(node, list):
            items = (
                self._write(item, f"{path}[{number}]", depth + 1, escape, source)
                for number, item in enumerate(node)
            )
            return write_array(items, source)
        if isinstance(node, dict):
            return self._write_object(node, path, depth, source)
        return StaticNode(plain(node))

    def _write_object(
        self, node: dict[str, JsonValue], path: str, depth: int, source: FunctionSource
    ) -> CompiledNode:
        if "$data" not in node:
            return self._write_element(node, path, depth, source)
        body = FunctionSource()
        before = self._weight
        element = self._write_element(node, path, depth, body)
        weight = 2 + len(_shown(node)) + self._weight - before
        raw = node["$data"]
        if isinstance(raw, str):
            data = self._write_text(raw, f"{path}.$data", None, source, shown=False)
        else:
            data = StaticNode(raw)
        each = repeated(body.function(element.atom(body)), weight)
        return DynamicNode(
            source.call(each, "scope", data.atom(source)), MayBe.ANYTHING | MayBe.DROPPED
        )

    def _write_element(
        self, node: dict[str, JsonValue], path: str, depth: int, source: FunctionSource
    ) -> CompiledNode:
        if "$when" not in node:
            return self._write_members(node, path, depth, source)
        element = source.new_name()
        kept = self._write_when(node["$when"], f"{path}.$when", source)
        with source.block(f"if {kept}"):
            members = self._write_members(node, path, depth, source)
            source.add(f"{element} = {members.atom(source)}")
        with source.block("else"):
            source.add(f"{element} = None")
        dropped = isinstance(members, DynamicNode) and MayBe.DROPPED in members.may_be
        return DynamicNode(element, MayBe.NONE | MayBe.DROPPED if dropped else MayBe.NONE)

    def _write_members(
        self, node: dict[str, JsonValue], path: str, depth: int, source: FunctionSource
    ) -> CompiledNode:
        if source.blocks > MAX_BLOCKS:
            inner = FunctionSource()
            members = self._write_members(node, path, depth, inner)
            return DynamicNode(
                source.call(inner.function(members.atom(inner)), "scope"), MayBe.DROPPED
            )
        for key in _RESERVED.intersection(node) - {"$data", "$when"}:
            # Reserved members are not shown, yet they must be right, as in the reference.
            self._write(
                node[key],
                f"{path}.{key}",
                depth + 1,
                self._autoescape(node, key),
                FunctionSource(),
            )
        escapes = {key: self._autoescape(node, key) for key in _shown(node)}
        needed = [
            key
            for key, escape in escapes.items()
            if escape is not None and escape.when_empty is Omit.ELEMENT
        ]

        def write(keys: Iterable[str]) -> dict[str, CompiledNode]:
            return {
                key: self._write(node[key], f"{path}.{key}", depth + 1, escapes[key], source)
                for key in keys
            }

        def absences(written: Mapping[str, CompiledNode]) -> dict[str, str]:
            found = {
                key: _absence(part, node[key], escapes[key]) for key, part in written.items()
            }
            return {key: condition for key, condition in found.items() if condition}

        element = source.new_name()
        parts = write(needed)
        dropping = absences(parts).values()

        def write_rest() -> CompiledNode:
            rest = write(key for key in escapes if key not in parts)
            parts.update(rest)
            shown = {key: parts[key] for key in escapes}
            return write_object(element, shown, source, absences(rest))

        if not dropping:
            return write_rest()
        with source.block(f"if {' or '.join(dropping)}"):
            source.add(f"{element} = DROP")
        with source.block("else"):
            written = write_rest()
            if isinstance(written, StaticNode):
                source.add(f"{element} = {written.atom(source)}")
        return DynamicNode(element, MayBe.DROPPED)

    def _write_when(self, raw: JsonValue, path: str, source: FunctionSource) -> str:
        if not isinstance(raw, str) or "${" not in raw:
            # As in the reference: a text without an expression drops the element, unless it is empty.
            self._write(raw, path, 0, None, FunctionSource())
            return str(raw is None or raw is False or raw in (0, ""))
        nodes = self._nodes(raw, path)
        alone = len(nodes) == 1 and not isinstance(nodes[0], Constant)
        node = nodes[0] if alone else Call("concat", (Constant(""), *nodes))
        kept = source.assign("False")

        def write() -> None:
            value = source.variable(
                self._value(node, path, ExpressionContext(condition=True), source)
            )
            source.add(f"{kept} = {value} is True")

        source.try_block(
            write,
            ("except AbortError", "if not scope.lenient: raise"),
            ("except EvaluationError", "pass"),
        )
        return kept

    def _write_text(
        self,
        text: str,
        path: str,
        escape: Escape | None,
        source: FunctionSource,
        *,
        shown: bool = True,
    ) -> CompiledNode:
        if "${" not in text:
            return StaticNode(text)
        nodes = self._nodes(text, path)
        if len(nodes) == 1 and not isinstance(nodes[0], Constant):
            [node] = nodes
            # The reference joins part by part, also for an explicit concat.
            if not (isinstance(node, Call) and node.function == "concat"):
                return write_single(
                    self._piece(node, path, source), path, escape, source, shown=shown
                )
            self._value(node, path, ExpressionContext(), FunctionSource())
            nodes = list(node.arguments)
        pieces = [self._piece(node, path, source) for node in nodes]
        return write_interpolated(pieces, path, escape, source)

    def _piece(self, node: Node, path: str, source: FunctionSource) -> Piece:
        if isinstance(node, Constant):
            return Piece(node.value, None, show(node))
        write = partial(self._value, node, path, ExpressionContext(), source)
        return Piece("", write, show(node), isinstance(node, Index))

    def _nodes(self, text: str, path: str) -> list[Node]:
        try:
            return parse_text(text)
        except TemplateError as exc:
            raise TemplateError(f"{path}: {exc}") from None

    def _value(
        self, node: Node, path: str, context: ExpressionContext, source: FunctionSource
    ) -> str:
        """Write an expression; returns the atom of its value."""
        try:
            self._paths |= paths_named(node)
            self._may_read |= paths_read(node)
            self._weight += 2 + weight_of(node)
            return write_node(node, context, source)
        except (TemplateError, EvaluationError) as exc:
            raise TemplateError(f"{path}: {exc}") from None


def _absence(part: CompiledNode, node: JsonValue, escape: Escape | None) -> str:
    """Return the condition for a member without value, if any."""
    if escape is None or escape.when_empty is Omit.NOTHING or not isinstance(part, DynamicNode):
        return ""
    name = part.name
    if escape.whole_text:
        return f"{name} is DROP"
    if escape.when_empty is Omit.ELEMENT:
        return f"not {name}" if isinstance(node, list) else f"not {name} or type({name}) not in CONTENTS"  # fmt: skip
    if isinstance(node, str):
        return f"not {name} and ({name} is None or {name} == '')"
    return f"{name} is DROP or {name} is None"


def _shown(node: Mapping[str, JsonValue]) -> list[str]:
    return [key for key in node if key not in _RESERVED]
