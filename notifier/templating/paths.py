"""Compile paths into the data, and list those that expressions read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from notifier.templating.ast import Call, Constant, Index, Member, Name, Node
from notifier.templating.codegen import Evaluate
from notifier.templating.parser import parse_text
from notifier.templating.scope import (
    DataName,
    Scope,
    follow,
    look_up,
    parse_int,
    special_name,
    steps_of,
)
from notifier.templating.values import (
    UNDEFINED,
    AbortError,
    EvaluationError,
    NoResultError,
    Value,
    is_integer,
    is_nothing,
    to_text,
)


@dataclass(frozen=True, slots=True)
class ExpressionContext:
    """The surroundings of an expression."""

    names: tuple[str, ...] = ()
    """Names bound by the lambdas around it, innermost last."""
    condition: bool = False
    """Whether a path without value is undefined; elsewhere the text `${path}` replaces it."""


def joined(parts: list[str]) -> str:
    """Write the parts of a path as one, such as a.b[0]."""
    return "".join(parts).rstrip(".").replace(".[", "[")


def bracketed(value: Value, shown: str) -> str:
    """Write an index as part of a path.

    Raises:
        EvaluationError: It is neither a number nor a name.
    """
    text = "" if is_nothing(value) else to_text(value)
    if parse_int(text) is not None:
        return f"[{text}]."
    if isinstance(value, str):
        return f"['{value}']."
    raise EvaluationError(f"{shown} is neither an index nor a name")


def compile_index(index: Evaluate, shown: str) -> Evaluate:
    """Compile an index that only the data determine."""
    return lambda scope: bracketed(index(scope), shown)


def static_path(path: str, start: Evaluate | None, context: ExpressionContext) -> Evaluate:
    """Compile a path known at load; it begins at `start` or in the data."""
    steps = steps_of(path)
    first = steps[0][0]
    find: Evaluate
    if start is not None:
        find = lambda scope: follow(scope, start(scope), steps)  # noqa: E731
    elif any(name.lower() == first.lower() for name in context.names):
        names = context.names
        find = lambda scope: look_up(scope, steps, names)  # noqa: E731
    else:
        base, rest = special_name(first), steps[1:]
        if base is None:
            find = lambda _: UNDEFINED  # noqa: E731
        else:
            find = lambda scope: follow(scope, base(scope), rest)  # noqa: E731
    if context.condition:
        return find

    def given(scope: Scope) -> Value:
        value = find(scope)
        return scope.missing(path) if value is UNDEFINED else value

    return given


def begins_in_data(path: str, context: ExpressionContext) -> bool:
    """Tell whether a path begins in the data, not at a local name or $root."""
    steps = steps_of(path)
    first = steps[0][0].lower() if steps else "$"
    return not first.startswith("$") and all(name.lower() != first for name in context.names)


def dynamic_path(
    parts: list[str | Evaluate], start: Evaluate | None, context: ExpressionContext
) -> Evaluate:
    """Compile a path with an index that only the data determine."""
    names, condition = context.names, context.condition

    def find(scope: Scope) -> Value:
        path = joined(
            [part if isinstance(part, str) else cast("str", part(scope)) for part in parts]
        )
        steps = steps_of(path)
        value = (
            look_up(scope, steps, names)
            if start is None
            else follow(scope, start(scope), steps)
        )
        return scope.missing(DataName(path)) if value is UNDEFINED and not condition else value

    return find


def property_path(parts: Sequence[Evaluate], context: ExpressionContext) -> Evaluate:
    """Compile getProperty of an object and a name, or of a name alone."""

    def get(scope: Scope) -> Value:
        name = parts[-1](scope)
        if len(parts) == 1:
            if not isinstance(name, str):
                raise EvaluationError("getProperty: needs a name")
            value = look_up(scope, steps_of(name), context.names)
        else:
            owner = parts[0](scope)
            if is_nothing(name):
                raise AbortError("getProperty: needs a name")
            value = (
                follow(scope, owner, steps_of(to_text(name))) if to_text(name) else UNDEFINED
            )
        if value is UNDEFINED and not context.condition:
            return scope.missing(DataName(to_text(name)))
        return value

    return get


def indexed(owner: Evaluate, index: Evaluate) -> Evaluate:
    """Compile an index of a value that has no path, such as a new list."""

    def at(scope: Scope) -> Value:
        try:
            container, key = owner(scope), index(scope)
        except NoResultError as exc:
            raise AbortError(str(exc)) from None
        except EvaluationError as exc:
            raise NoResultError(str(exc)) from None
        if isinstance(key, str):
            return scope.member(container, key)
        if not is_integer(key):
            raise EvaluationError("is indexed by neither a whole number nor a name")
        if is_nothing(container):
            return UNDEFINED
        position = int(cast("float", key))
        if isinstance(container, list) and 0 <= position < len(container):
            return cast("Value", container[position])
        raise EvaluationError(f"has no item {position}")

    return at


_Names = frozenset[str] | None
"""The names that lambdas around an expression bind, in lower case; None: paths from such names count too."""


def paths_named(node: Node) -> set[str]:
    """Return the data paths that an expression names.

    Paths that begin at a name that it binds itself are left out.

    Raises:
        TemplateError: As paths_in.
    """
    return _paths(node, frozenset())


def paths_read(node: Node) -> set[str]:
    """Return the data paths that an expression may read.

    If only the data determine the path, it is $data.

    Paths from a bound name too: where its item has no such member they are looked up in the data.

    Raises:
        TemplateError: A literal of stringOrValue does not parse.
    """
    return _paths(node, None)


def _paths(node: Node, bound: _Names) -> set[str]:
    match node:
        case Name(name):
            return set() if bound is not None and name.lower() in bound else {name}
        case Member(owner, name):
            return {f"{path}.{name}" for path in _paths(owner, bound)}
        case Index(owner, Constant(str() as name)):
            return {f"{path}.{name}" for path in _paths(owner, bound)}
        case Index(owner, index):
            return _paths(owner, bound) | _paths(index, bound)
        case Call("select" | "foreach" | "where" | "any" | "all", (items, Name(item), body)):
            within = None if bound is None else bound | {item.lower()}
            return _paths(items, bound) | _paths(body, within)
        case Call("stringOrValue", (Constant(text),)):
            return _of_all(parse_text(str(text)), bound)
        case Call("getProperty", arguments):
            return {"$data"} | _of_all(arguments, bound)
        case Call(_, arguments):
            return _of_all(arguments, bound)
        case _:
            return set()


def _of_all(nodes: Iterable[Node], bound: _Names) -> set[str]:
    return {path for node in nodes for path in _paths(node, bound)}
