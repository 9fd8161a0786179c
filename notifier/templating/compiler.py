"""Syntax trees become closures: what is known at load is done at load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from notifier.errors import TemplateError
from notifier.templating.functions import FUNCTIONS, compile_pattern, timex
from notifier.templating.functions.lists import as_list, empty
from notifier.templating.interpolation import split_text
from notifier.templating.judging import COMPARISONS, GATHERERS, holds
from notifier.templating.parser import parse
from notifier.templating.paths import (
    Evaluate,
    Place,
    bracketed,
    bracketing,
    dynamic_path,
    indexed,
    joined,
    static_path,
)
from notifier.templating.scope import (
    LONG,
    Scope,
    follow,
    look_up,
    steps_of,
)
from notifier.templating.signatures import check_call, kind_of
from notifier.templating.syntax import Call, Constant, Index, Member, Name, Node, show
from notifier.templating.values import (
    UNDEFINED,
    AbortError,
    EvaluationError,
    Value,
    is_nothing,
    is_true,
    to_text,
)


def compile_node(node: Node, place: Place) -> Evaluate:
    """Compile one expression; raises TemplateError for a call that cannot be right."""
    match node:
        case Constant(value):
            return lambda _: value
        case Name() | Member():
            return _path(node, place)
        case Index(owner, index):
            return indexed(
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
                parts.insert(0, bracketed(value, show(left.index)))
                left = owner
            case Index(owner, index):
                parts.insert(0, bracketing(compile_node(index, place), show(index)))
                left = owner
            case _:
                break
    start = None if left is None else compile_node(left, place)
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return static_path(joined(texts), start, place)
    return dynamic_path(parts, start, place)


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
        for value in values:
            kind = type(value)
            if (kind is str or kind is list) and len(value) > LONG:  # type: ignore[arg-type]
                scope.weigh(value)
        try:
            result = function(*values)
        except EvaluationError as exc:
            raise EvaluationError(f"{name}: {exc}").leaving(_LEFT.get(name)) from None
        except (TypeError, ValueError, OverflowError):
            raise EvaluationError(f"{name}: wrong kind of argument, or out of range") from None
        kind = type(result)
        if (kind is str or kind is list) and len(result) > 100:  # type: ignore[arg-type]
            scope.count(len(result) // 10)  # type: ignore[arg-type]
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


def _if(call: Call, place: Place) -> Evaluate:
    condition = _conditions(call, place)[0]
    yes, no = (compile_node(argument, place) for argument in call.arguments[1:])

    def chosen(scope: Scope) -> Value:
        # As `holds`, without the call: cards ask this most.
        try:
            value = condition(scope)
        except EvaluationError:
            return no(scope)
        if value is False or value is None or value is UNDEFINED:
            return no(scope)
        return yes(scope)

    return chosen


def _and(call: Call, place: Place) -> Evaluate:
    parts = _conditions(call, place)
    return lambda scope: all(holds(part, scope) for part in parts)


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
    return lambda scope: not holds(part, scope)


def _empty(call: Call, place: Place) -> Evaluate:
    [part] = _conditions(call, place)

    def nothing_in(scope: Scope) -> Value:
        try:
            value = part(scope)
        except EvaluationError:
            return False
        if type(value) is str:
            return not value
        if type(value) is list or type(value) is dict:
            scope.weigh_all(value)
        return empty(value)

    return nothing_in


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
    test = COMPARISONS[call.function]
    gather = _gathering(_conditions(call, place))

    def compared(scope: Scope) -> Value:
        try:
            values = gather(scope)
        except EvaluationError:
            return False
        for value in values:
            if type(value) is list or type(value) is dict:
                scope.weigh_all(value)
        return test(*values)

    return compared


def _contains(call: Call, place: Place) -> Evaluate:
    container, item = (compile_node(argument, place) for argument in call.arguments)
    test = FUNCTIONS["contains"]

    def contains(scope: Scope) -> Value:
        try:
            held = container(scope)
            scope.weigh(held)
            return test(held, item(scope))
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
    gather = GATHERERS[name]
    makes = name in {"select", "foreach"}

    def over(scope: Scope) -> Value:
        found = values(scope)
        if makes and (is_nothing(found) or found in (False, 0, "")):
            raise EvaluationError(f"{name}: there is nothing to go through")
        try:
            items = as_list(found)
        except EvaluationError as exc:
            raise exc.leaving({"any": False, "all": True}.get(name)) from None
        scope.count(len(items) * 4)

        def each(item: Value) -> Value:
            value = body(scope.with_local(item))
            if makes:
                scope.weigh_all(value)
            return value

        return gather(items, each, found)

    return over


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
    **dict.fromkeys(COMPARISONS, _compared), "empty": _empty,
    **dict.fromkeys(GATHERERS, _over_list),
    "getProperty": _get_property, "stringOrValue": _string_or_value,
}  # fmt: skip
