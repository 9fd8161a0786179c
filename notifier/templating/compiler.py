"""Syntax trees become closures: what is known at load is done at load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from notifier.errors import TemplateError
from notifier.templating.functions import ALIASES, FUNCTIONS, REFUSED, compile_pattern
from notifier.templating.parser import (
    Call,
    Constant,
    Index,
    ListOf,
    Member,
    Name,
    Node,
    path_of,
)
from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Value,
    is_nothing,
    is_true,
    member,
)

MAX_STEPS = 200_000
"""Function calls and elements in one expansion; a card needs some hundreds."""


@dataclass(slots=True)
class Scope:
    """What names mean at one place of a template."""

    root: Value
    data: Value
    index: Value
    host: Value
    local: dict[str, Value]
    steps: list[int]

    def step(self) -> None:
        """Count one unit of work; raises TemplateError past the bound."""
        self.steps[0] += 1
        if self.steps[0] > MAX_STEPS:
            raise TemplateError(
                f"expansion takes more than {MAX_STEPS} steps; shorten the lists it goes through"
            )

    def with_local(self, name: str, value: Value) -> Scope:
        """Return this scope with one more name."""
        return Scope(
            self.root, self.data, self.index, self.host, {**self.local, name: value}, self.steps
        )


Evaluate = Callable[[Scope], Value]

_LAZY = frozenset(
    {"if", "and", "&&", "or", "||", "??", "select", "foreach", "where", "any", "all"}
)


def compile_node(node: Node) -> Evaluate:
    """Compile one expression; raises TemplateError for an unknown function or a wrong number of arguments."""
    match node:
        case Constant(value):
            return lambda _: value
        case Name(name):
            return _name(name)
        case Member(owner, name):
            inner = compile_node(owner)
            return lambda scope: member(inner(scope), name)
        case Index(owner, index):
            return _index(compile_node(owner), compile_node(index))
        case ListOf(items):
            parts = [compile_node(item) for item in items]
            return lambda scope: [part(scope) for part in parts]
        case Call(function, arguments):
            return _call(function, arguments)


def paths_in(node: Node) -> set[str]:
    """Return the data paths an expression reads."""
    path = path_of(node)
    if path is not None:
        return {path}
    match node:
        case Member(owner, _):
            return paths_in(owner)
        case Index(owner, index):
            return paths_in(owner) | paths_in(index)
        case ListOf(items) | Call(_, items):
            return {path for item in items for path in paths_in(item)}
        case _:
            return set()


_SPECIAL: dict[str, Evaluate] = {
    "$root": lambda scope: scope.root,
    "$data": lambda scope: scope.data,
    "$index": lambda scope: scope.index,
    "$host": lambda scope: scope.host,
}


def _name(name: str) -> Evaluate:
    special = _SPECIAL.get(name)
    if special is not None:
        return special

    def look_up(scope: Scope) -> Value:
        if name in scope.local:
            return scope.local[name]
        return member(scope.data, name)

    return look_up


def _index(owner: Evaluate, index: Evaluate) -> Evaluate:
    def at(scope: Scope) -> Value:
        container, key = owner(scope), index(scope)
        if isinstance(key, str):
            return member(container, key)
        if isinstance(key, int) and not isinstance(key, bool) and isinstance(container, list):
            if 0 <= key < len(container):
                return container[key]
            raise EvaluationError(f"index {key} is beyond the list")
        if is_nothing(container):
            return UNDEFINED
        raise EvaluationError("cannot be indexed so")

    return at


def _call(name: str, arguments: tuple[Node, ...]) -> Evaluate:
    name = ALIASES.get(name, name)
    if name in REFUSED:
        raise TemplateError(
            f"function {name} is refused: a card must come out the same every time; send the value in the event"
        )
    if name in _LAZY:
        return _lazy(name, arguments)
    function = FUNCTIONS.get(name)
    if function is None:
        raise TemplateError(
            f"there is no function {name}; see docs/templating.md for those there are"
        )
    if name == "isMatch" and len(arguments) == 2 and isinstance(arguments[1], Constant):
        try:
            compile_pattern(str(arguments[1].value))
        except EvaluationError as exc:
            raise TemplateError(f"isMatch {exc}") from None
    parts = [compile_node(argument) for argument in arguments]

    def call(scope: Scope) -> Value:
        scope.step()
        values = [part(scope) for part in parts]
        try:
            return function(*values)
        except TypeError:
            raise EvaluationError(f"{name}: wrong number or kind of arguments") from None
        except (OverflowError, ValueError):
            raise EvaluationError(f"{name}: out of range") from None
        except EvaluationError as exc:
            raise EvaluationError(f"{name}: {exc}") from None

    return call


def _lazy(name: str, arguments: tuple[Node, ...]) -> Evaluate:
    if name in {"select", "foreach", "where", "any", "all"}:
        return _over_list(name, arguments)
    parts = [compile_node(argument) for argument in arguments]
    if name == "if":
        if len(parts) != 3:
            raise TemplateError("if wants three arguments: condition, value, other value")
        condition, yes, no = parts
        return lambda scope: yes(scope) if is_true(_quietly(condition, scope)) else no(scope)
    if name in {"and", "&&"}:
        return lambda scope: all(is_true(part(scope)) for part in parts)
    if name in {"or", "||"}:
        return lambda scope: any(is_true(part(scope)) for part in parts)
    left, right = parts

    def otherwise(scope: Scope) -> Value:
        value = _quietly(left, scope)
        return right(scope) if is_nothing(value) else value

    return otherwise


def _quietly(part: Evaluate, scope: Scope) -> Value:
    """Evaluate a condition; one that has no value counts as false, as in the reference."""
    try:
        return part(scope)
    except EvaluationError:
        return UNDEFINED


def _over_list(name: str, arguments: tuple[Node, ...]) -> Evaluate:
    if len(arguments) != 3 or not isinstance(arguments[1], Name):
        raise TemplateError(
            f"{name} wants a list, a name and an expression, such as {name}(items, x, x.price)"
        )
    items, local, body = (
        compile_node(arguments[0]),
        arguments[1].name,
        compile_node(arguments[2]),
    )

    def over(scope: Scope) -> Value:
        found = items(scope)
        if isinstance(found, dict):
            found = [{"key": key, "value": value} for key, value in found.items()]
        if not isinstance(found, list):
            raise EvaluationError(f"{name}: wants a list")
        results: list[Value] = []
        for item in found:
            scope.step()
            results.append(body(scope.with_local(local, item)))
        match name:
            case "where":
                return [
                    item for item, kept in zip(found, results, strict=True) if is_true(kept)
                ]
            case "any":
                return any(is_true(result) for result in results)
            case "all":
                return all(is_true(result) for result in results)
            case _:
                return results

    return over
