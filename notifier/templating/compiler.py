"""Syntax trees become closures: what is known at load is done at load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from notifier.errors import TemplateError
from notifier.templating.functions import FUNCTIONS, compile_pattern, timex
from notifier.templating.functions.lists import as_list, empty
from notifier.templating.interpolation import split_text
from notifier.templating.parser import parse
from notifier.templating.scope import (
    Scope,
    Step,
    follow,
    look_up,
    parse_int,
    special,
    steps_of,
)
from notifier.templating.signatures import check_call, kind_of
from notifier.templating.syntax import Call, Constant, Index, Member, Name, Node, show
from notifier.templating.values import (
    UNDEFINED,
    AbortError,
    EvaluationError,
    NoResultError,
    Value,
    equal,
    is_integer,
    is_nothing,
    is_number,
    is_true,
    member,
    to_text,
)

Evaluate = Callable[[Scope], Value]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands."""

    names: tuple[str, ...] = ()
    """Names bound by the lambdas around it, innermost last."""
    condition: bool = False
    """In a condition a path without value is undefined; elsewhere the text `${path}` stands in."""


def compile_node(node: Node, place: Place) -> Evaluate:
    """Compile one expression; raises TemplateError for a call that cannot be right."""
    match node:
        case Constant(value):
            return lambda _: value
        case Name() | Member():
            return _path(node, place)
        case Index(owner, index):
            return _index(
                compile_node(owner, place), compile_node(index, replace(place, condition=True))
            )
        case Call():
            return _call(node, place)


def _path(node: Node, place: Place) -> Evaluate:
    """Compile a.b[0].c: one path where it can be one, as the reference accumulates it."""
    parts: list[str | Evaluate] = []
    left: Node | None = node
    while left is not None:
        match left:
            case Name(name):
                parts.insert(0, f"{name}.")
                left = None
            case Member(owner, name):
                if "O" not in kind_of(owner):
                    raise TemplateError(f"{show(owner)[:80]} has no members")
                parts.insert(0, f"{name}.")
                left = owner
            case Index(owner, Constant(value)):
                parts.insert(0, _bracketed(value, show(left.index)))
                left = owner
            case Index(owner, index):
                parts.insert(0, _bracketing(compile_node(index, place), show(index)))
                left = owner
            case _:
                break
    start = None if left is None else compile_node(left, place)
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return _static_path(_joined(texts), start, place)
    return _dynamic_path(parts, start, place)


def _joined(parts: list[str]) -> str:
    return "".join(parts).rstrip(".").replace(".[", "[")


def _bracketed(value: Value, shown: str) -> str:
    text = "" if is_nothing(value) else to_text(value)
    if parse_int(text) is not None:
        return f"[{text}]."
    if isinstance(value, str):
        return f"['{value}']."
    raise EvaluationError(f"{shown} is neither an index nor a name")


def _bracketing(index: Evaluate, shown: str) -> Evaluate:
    return lambda scope: _bracketed(index(scope), shown)


def _static_path(path: str, start: Evaluate | None, place: Place) -> Evaluate:
    steps = steps_of(path)
    first = steps[0][0]
    find: Evaluate
    if start is not None:
        find = lambda scope: follow(start(scope), steps)  # noqa: E731
    elif any(name.lower() == first.lower() for name in place.names):
        names = place.names
        find = lambda scope: look_up(scope, steps, names)  # noqa: E731
    elif first.startswith("$"):
        base, rest = special(first), steps[1:]
        if base is None:
            find = lambda _: UNDEFINED  # noqa: E731
        else:
            find = lambda scope: follow(base(scope), rest)  # noqa: E731
    else:
        return _data_path(path, steps, place)
    if place.condition:
        return find

    def given(scope: Scope) -> Value:
        value = find(scope)
        return scope.missing(path) if value is UNDEFINED else value

    return given


def _data_path(path: str, steps: tuple[Step, ...], place: Place) -> Evaluate:
    """Compile a path into the data: the usual ones, names of objects that are there, go without a loop."""
    condition = place.condition

    def otherwise(scope: Scope) -> Value:
        value = follow(scope.data, steps)
        return scope.missing(path) if value is UNDEFINED and not condition else value

    names = [name for name, _ in steps]
    if len(names) == 1:
        [only] = names

        def one(scope: Scope) -> Value:
            try:
                return scope.data[only]  # type: ignore[index]
            except (KeyError, TypeError):
                return otherwise(scope)

        return one
    if len(names) == 2:
        first, second = names

        def two(scope: Scope) -> Value:
            try:
                return scope.data[first][second]  # type: ignore[index]
            except (KeyError, TypeError):
                return otherwise(scope)

        return two
    return otherwise


def _dynamic_path(
    parts: list[str | Evaluate], start: Evaluate | None, place: Place
) -> Evaluate:
    names, condition = place.names, place.condition

    def find(scope: Scope) -> Value:
        path = _joined(
            [part if isinstance(part, str) else cast("str", part(scope)) for part in parts]
        )
        steps = steps_of(path)
        value = look_up(scope, steps, names) if start is None else follow(start(scope), steps)
        return scope.missing(path) if value is UNDEFINED and not condition else value

    return find


def _index(owner: Evaluate, index: Evaluate) -> Evaluate:
    def at(scope: Scope) -> Value:
        try:
            container, key = owner(scope), index(scope)
        except NoResultError as exc:
            raise AbortError(str(exc)) from None
        except EvaluationError as exc:
            raise NoResultError(str(exc)) from None
        if isinstance(key, str):
            return member(container, key)
        if not is_integer(key):
            raise EvaluationError("is indexed by neither a whole number nor a name")
        if is_nothing(container):
            return UNDEFINED
        position = int(cast("float", key))
        if isinstance(container, list) and 0 <= position < len(container):
            return cast("Value", container[position])
        raise EvaluationError(f"has no item {position}")

    return at


def _call(call: Call, place: Place) -> Evaluate:
    check_call(call)
    name, arguments = call.function, call.arguments
    build = _FORMS.get(name)
    if build is not None:
        return build(call, place)
    if name == "isMatch" and isinstance(arguments[1], Constant):
        try:
            compile_pattern(str(arguments[1].value))
        except EvaluationError as exc:
            raise TemplateError(f"isMatch {exc}") from None
    return _applied(name, FUNCTIONS[name], [compile_node(each, place) for each in arguments])


def _applied(name: str, function: Callable[..., Value], parts: list[Evaluate]) -> Evaluate:
    gather = _gathering(parts)

    def apply(scope: Scope) -> Value:
        values = gather(scope)
        try:
            result = function(*values)
        except EvaluationError as exc:
            raise EvaluationError(f"{name}: {exc}").leaving(_LEFT.get(name)) from None
        except (TypeError, ValueError, OverflowError):
            raise EvaluationError(f"{name}: wrong kind of argument, or out of range") from None
        if (type(result) is str or type(result) is list) and len(result) > 100:
            scope.count(len(result) // 10)
        return result

    return apply


_LEFT: dict[str, Value] = {
    "indexOf": -1,
    "lastIndexOf": -1,
    **dict.fromkeys(timex.CHECKS, False),
}
"""What the reference leaves behind where these fail."""


def _gathering(parts: list[Evaluate]) -> Callable[[Scope], tuple[Value, ...]]:
    """Return how arguments are evaluated: a tuple display is much quicker than a comprehension."""
    match parts:
        case [one]:
            return lambda scope: (one(scope),)
        case [one, two]:
            return lambda scope: (one(scope), two(scope))
        case [one, two, three]:
            return lambda scope: (one(scope), two(scope), three(scope))
        case _:
            return lambda scope: tuple([part(scope) for part in parts])


def _conditions(call: Call, place: Place) -> list[Evaluate]:
    inside = replace(place, condition=True)
    return [compile_node(argument, inside) for argument in call.arguments]


def _holds(part: Evaluate, scope: Scope) -> bool:
    """Evaluate a condition; one that has no value counts as false."""
    try:
        value = part(scope)
    except EvaluationError:
        return False
    return value is not False and value is not None and value is not UNDEFINED


def _if(call: Call, place: Place) -> Evaluate:
    condition = _conditions(call, place)[0]
    yes, no = (compile_node(argument, place) for argument in call.arguments[1:])
    return lambda scope: yes(scope) if _holds(condition, scope) else no(scope)


def _and(call: Call, place: Place) -> Evaluate:
    parts = _conditions(call, place)
    return lambda scope: all(_holds(part, scope) for part in parts)


def _or(call: Call, place: Place) -> Evaluate:
    parts = _conditions(call, place)

    def either(scope: Scope) -> Value:
        value: Value = False
        for part in parts:
            try:
                value = part(scope)
            except EvaluationError as exc:
                value = UNDEFINED if exc.leaves is None else exc.leaves
                continue
            if is_true(value):
                return True
        return value

    return either


def _not(call: Call, place: Place) -> Evaluate:
    [part] = _conditions(call, place)
    return lambda scope: not _holds(part, scope)


def _exists(call: Call, place: Place) -> Evaluate:
    [part] = _conditions(call, place)

    def exists(scope: Scope) -> Value:
        try:
            value = part(scope)
        except EvaluationError:
            return False
        return value is not None and value is not UNDEFINED

    return exists


def _compared(call: Call, place: Place) -> Evaluate:
    test = _COMPARISONS[call.function]
    gather = _gathering(_conditions(call, place))

    def compared(scope: Scope) -> Value:
        try:
            values = gather(scope)
        except EvaluationError:
            return False
        return test(*values)

    return compared


def _ordered(test: Callable[[str | float, str | float], bool]) -> Callable[..., Value]:
    def ordered(left: Value, right: Value) -> Value:
        if is_nothing(left) or is_nothing(right):
            return False
        if (is_number(left) and is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        ):
            return test(cast("str", left), cast("str", right))
        raise EvaluationError("compares values of different kinds").leaving(False)

    return ordered


_COMPARISONS: dict[str, Callable[..., Value]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _ordered(lambda left, right: left < right),  # type: ignore[operator]
    "<=": _ordered(lambda left, right: left <= right),  # type: ignore[operator]
    ">": _ordered(lambda left, right: left > right),  # type: ignore[operator]
    ">=": _ordered(lambda left, right: left >= right),  # type: ignore[operator]
    "empty": empty,
    "bool": FUNCTIONS["bool"],
}


def _contains(call: Call, place: Place) -> Evaluate:
    container, item = (compile_node(argument, place) for argument in call.arguments)
    test = FUNCTIONS["contains"]

    def contains(scope: Scope) -> Value:
        try:
            return test(container(scope), item(scope))
        except EvaluationError:
            return False

    return contains


def _over_list(call: Call, place: Place) -> Evaluate:
    name, (source, local, expression) = call.function, call.arguments
    if not isinstance(local, Name):
        raise TemplateError(
            f"{name} wants a list, a name and an expression, such as {name}(items, x, x.price)"
        )
    values = compile_node(source, place)
    body = compile_node(expression, replace(place, names=(*place.names, local.name)))
    gather = _GATHERERS[name]

    def over(scope: Scope) -> Value:
        found = values(scope)
        if name in {"select", "foreach"} and (is_nothing(found) or found in (False, 0, "")):
            raise EvaluationError(f"{name}: there is nothing to go through")
        try:
            items = as_list(found)
        except EvaluationError as exc:
            raise exc.leaving({"any": False, "all": True}.get(name)) from None
        scope.count(len(items) * 4)
        return gather(items, lambda item: body(scope.with_local(item)), found)

    return over


def _attempt(body: Callable[[Value], Value], item: Value) -> bool:
    try:
        return is_true(body(item))
    except EvaluationError:
        return False


def _where(items: list[Value], body: Callable[[Value], Value], source: Value) -> Value:
    kept = [item for item in items if _attempt(body, item)]
    if isinstance(source, list):
        return kept
    return {str(each["key"]): each["value"] for each in cast("list[dict[str, Value]]", kept)}


_GATHERERS: dict[str, Callable[[list[Value], Callable[[Value], Value], Value], Value]] = {
    "select": lambda items, body, _: [body(item) for item in items],
    "foreach": lambda items, body, _: [body(item) for item in items],
    "where": _where,
    "any": lambda items, body, _: any(_attempt(body, item) for item in items),
    "all": lambda items, body, _: all(_attempt(body, item) for item in items),
}


def _get_property(call: Call, place: Place) -> Evaluate:
    parts = [compile_node(argument, place) for argument in call.arguments]

    def get(scope: Scope) -> Value:
        name = parts[-1](scope)
        if len(parts) == 1:
            if not isinstance(name, str):
                raise EvaluationError("getProperty: wants a name")
            value = look_up(scope, steps_of(name), place.names)
        else:
            owner = parts[0](scope)
            if is_nothing(name):
                raise AbortError("getProperty: wants a name")
            value = follow(owner, steps_of(to_text(name))) if to_text(name) else UNDEFINED
        if value is UNDEFINED and not place.condition:
            return scope.missing(to_text(name))
        return value

    return get


def _string_or_value(call: Call, place: Place) -> Evaluate:
    [argument] = call.arguments
    if not isinstance(argument, Constant):
        raise TemplateError("stringOrValue wants a literal: data are never read as a template")
    parts = split_text(str(argument.value))
    nodes: list[Node] = [
        Constant(part) if isinstance(part, str) else parse(part.source) for part in parts
    ]
    if len(nodes) == 1 and not isinstance(nodes[0], Constant):
        return compile_node(nodes[0], place)
    return compile_node(Call("concat", (Constant(""), *nodes)), place)


_FORMS: dict[str, Callable[[Call, Place], Evaluate]] = {
    "if": _if, "&&": _and, "||": _or, "!": _not, "exists": _exists, "contains": _contains,
    **dict.fromkeys(_COMPARISONS, _compared),
    **dict.fromkeys(_GATHERERS, _over_list),
    "getProperty": _get_property, "stringOrValue": _string_or_value,
}  # fmt: skip
