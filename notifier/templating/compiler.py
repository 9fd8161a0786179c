"""Syntax trees become Python source: what is known at load is done at load."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from notifier.errors import TemplateError
from notifier.templating.applied import APPLIED
from notifier.templating.functions import FUNCTIONS, compile_pattern
from notifier.templating.functions.lists import as_list, empty
from notifier.templating.interpolation import parse_text
from notifier.templating.judging import COMPARISONS, GATHERERS
from notifier.templating.paths import (
    Place,
    bracketed,
    bracketing,
    dynamic_path,
    indexed,
    into_data,
    joined,
    static_path,
)
from notifier.templating.scope import LONG, DataName, Scope, follow, look_up, steps_of
from notifier.templating.shortways import SHORT_WAYS
from notifier.templating.signatures import check_call, kind_of
from notifier.templating.source import MAX_BLOCKS, Evaluate, Source
from notifier.templating.syntax import (
    Call,
    Constant,
    Index,
    Member,
    Name,
    Node,
    show,
    weight_of,
)
from notifier.templating.values import (
    UNDEFINED,
    AbortError,
    EvaluationError,
    Value,
    is_nothing,
    is_number,
    to_text,
)


def compile_node(node: Node, place: Place) -> Evaluate:
    """Compile one expression; raises TemplateError for a call that cannot be right."""
    source = Source()
    return source.function(write_node(node, place, source))


def write_node(node: Node, place: Place, source: Source) -> str:
    """Add the statements that work out an expression; returns the atom of its value. Raises as compile_node."""
    if source.blocks > MAX_BLOCKS:
        return source.call(compile_node(node, place), "scope")
    node = _folded(node)
    match node:
        case Constant(value):
            return source.constant(value)
        case Name() | Member():
            return _path(node, place, source)
        case Index(owner, index):
            at = indexed(
                compile_node(owner, place), compile_node(index, replace(place, condition=True))
            )
            return source.call(at, "scope")
        case Call():
            return _call(node, place, source)


def _folded(node: Node) -> Node:
    """Work out arithmetic on numbers that stand in the template, such as a negative one, which is written 0 - 5."""
    if not (isinstance(node, Call) and node.function in _ARITHMETIC):
        return node
    operands = [_folded(each) for each in node.arguments]
    values = [each.value for each in operands if isinstance(each, Constant)]
    if len(values) < len(operands) or not all(is_number(value) for value in values):
        return node
    check_call(node)
    try:
        return Constant(FUNCTIONS[node.function](*values))
    except (EvaluationError, OverflowError):
        return node


_ARITHMETIC = frozenset({"+", "-", "*"})


def _path(node: Node, place: Place, source: Source) -> str:
    """Write a.b[0].c: one path where it can be one, as the reference accumulates it."""
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
    if len(texts) < len(parts):
        return source.call(dynamic_path(parts, start, place), "scope")
    path = joined(texts)
    if start is not None or not into_data(path, place):
        return source.call(static_path(path, start, place), "scope")
    found = source.path(steps_of(path))
    if place.condition:
        return found
    return source.keep(f"missing({path!r}) if {found} is UNDEFINED else {found}")


def _call(call: Call, place: Place, source: Source) -> str:
    check_call(call)
    name, arguments = call.function, call.arguments
    write = _FORMS.get(name)
    if write is not None:
        return write(call, place, source)
    if name == "isMatch" and isinstance(arguments[1], Constant):
        try:
            compile_pattern(str(arguments[1].value))
        except EvaluationError as exc:
            raise TemplateError(f"isMatch {exc}") from None
    atoms = [write_node(each, place, source) for each in arguments]
    short_way = SHORT_WAYS.get(name)
    if short_way is None:
        return source.call(APPLIED[name], "scope", *atoms)
    source.risks += 1
    return source.keep(short_way(call, atoms, source))


def _inside(place: Place) -> Place:
    return replace(place, condition=True)


def _condition(node: Node, place: Place, source: Source) -> str:
    """Write a condition, which counts as false where it has no value; returns what is to be asked."""
    value = source.name()

    def write() -> None:
        source.add(f"{value} = {write_node(node, _inside(place), source)}")

    source.attempt(write, (_NO_VALUE, f"{value} = False"))
    return value if isinstance(node, Call) and node.function in _BOOLEAN else _true(value)


_NO_VALUE = "except EvaluationError as error"
_BOOLEAN = frozenset({"empty", "exists", "!", "&&", "==", "!=", "contains", "isMatch"})
"""What these give is true or false, and nothing else."""


def _true(name: str) -> str:
    return f"{name} is not False and {name} is not None and {name} is not UNDEFINED"


def _if(call: Call, place: Place, source: Source) -> str:
    condition, yes, no = call.arguments
    asked, chosen = _condition(condition, place, source), source.name()
    for head, node in ((f"if {asked}", yes), ("else", no)):
        with source.block(head):
            source.add(f"{chosen} = {write_node(node, place, source)}")
    return chosen


def _and(call: Call, place: Place, source: Source) -> str:
    all_hold = source.keep("True")
    for node in call.arguments:
        with source.block(f"if {all_hold}"):
            source.add(f"{all_hold} = {_condition(node, place, source)}")
    return all_hold


def _or(call: Call, place: Place, source: Source) -> str:
    value, found = source.keep("False"), source.keep("False")

    def attempt(node: Node) -> None:
        source.add(f"{value} = {write_node(node, _inside(place), source)}")
        source.add(f"{found} = {_true(value)}")

    for node in call.arguments:
        with source.block(f"if not {found}"):
            source.attempt(
                partial(attempt, node),
                (_NO_VALUE, f"{value} = UNDEFINED if error.leaves is None else error.leaves"),
            )
    with source.block(f"if {found}"):
        source.add(f"{value} = True")
    return value


def _not(call: Call, place: Place, source: Source) -> str:
    [node] = call.arguments
    return source.keep(f"not ({_condition(node, place, source)})")


def _empty(call: Call, place: Place, source: Source) -> str:
    [node] = call.arguments
    result = source.name()

    def write() -> None:
        value = write_node(node, _inside(place), source)
        other = f"{source.constant(_nothing_in)}(scope, {value})"
        numbers = source.constant(_NUMBERS)
        # Asked by name, for a literal has no identity to ask for.
        value = source.named(value)
        source.add(
            f"{result} = not {value} if type({value}) is str else "
            f"{value} is UNDEFINED or {value} is None or (type({value}) not in {numbers} and {other})"
        )

    source.attempt(write, (_NO_VALUE, f"{result} = False"))
    return result


_NUMBERS = frozenset({int, float})


def _nothing_in(scope: Scope, value: Value) -> Value:
    if type(value) is list or type(value) is dict:
        scope.weigh_all(value)
    return empty(value)


def _exists(call: Call, place: Place, source: Source) -> str:
    [node] = call.arguments
    result = source.name()

    def write() -> None:
        value = source.named(write_node(node, _inside(place), source))
        source.add(f"{result} = {value} is not None and {value} is not UNDEFINED")

    source.attempt(write, (_NO_VALUE, f"{result} = False"))
    return result


def _compared(call: Call, place: Place, source: Source) -> str:
    result = source.name()
    atoms: list[str] = []

    def write() -> None:
        atoms.extend(write_node(node, _inside(place), source) for node in call.arguments)

    # What the values are compared by may raise, and that is not for this `try`.
    tried = source.attempt(write, (_NO_VALUE, f"{result} = False"))
    with source.block("else") if tried else nullcontext():
        if call.function == "==" and any(_is_text(node) for node in call.arguments):
            source.add(f"{result} = {' == '.join(atoms)}")
            return result
        compare = source.constant(_COMPARED[call.function])
        compared = f"{compare}(scope, {', '.join(atoms)})"
        if call.function in _ORDERED and _is_number(call.arguments[1]):
            quick = f"{atoms[0]} {call.function} {atoms[1]}"
            compared = f"{quick} if {_numeric(atoms[0])} else {compared}"
        source.risks += 1
        source.add(f"{result} = {compared}")
    return result


_ORDERED = frozenset({"<", "<=", ">", ">="})


def _is_text(node: Node) -> bool:
    return isinstance(node, Constant) and type(node.value) is str


def _is_number(node: Node) -> bool:
    folded = _folded(node)
    return isinstance(folded, Constant) and is_number(folded.value)


def _numeric(atom: str) -> str:
    """As is_number."""
    return f"(type({atom}) is int or type({atom}) is float and {atom} == {atom})"


def _weighed(test: Callable[..., Value]) -> Callable[..., Value]:
    def compare(scope: Scope, *values: Value) -> Value:
        for value in values:
            kind = type(value)
            if kind is list or kind is dict:
                scope.weigh_all(value)
            elif kind is str and len(value) > LONG:  # type: ignore[arg-type]
                scope.weigh(value)
        return test(*values)

    return compare


_COMPARED = {name: _weighed(test) for name, test in COMPARISONS.items()}


def _contains(call: Call, place: Place, source: Source) -> str:
    result = source.name()

    def write() -> None:
        held = write_node(call.arguments[0], place, source)
        item = write_node(call.arguments[1], place, source)
        source.add(f"{result} = {source.call(_held, 'scope', held, item)}")

    source.attempt(write, (_NO_VALUE, f"{result} = False"))
    return result


def _held(scope: Scope, container: Value, item: Value) -> Value:
    if isinstance(container, dict):
        return isinstance(item, str) and scope.member(container, item) is not UNDEFINED
    scope.weigh(container)
    if isinstance(container, list) and type(item) is not str:
        scope.weigh_all(container)
    return FUNCTIONS["contains"](container, item)


def _over_list(call: Call, place: Place, source: Source) -> str:
    name, (items_of, local, expression) = call.function, call.arguments
    if not isinstance(local, Name):
        raise TemplateError(
            f"{name} wants a list, a name and an expression, such as {name}(items, x, x.price)"
        )
    values = compile_node(items_of, place)
    body = compile_node(expression, replace(place, names=(*place.names, local.name)))
    gather = GATHERERS[name]
    makes = name in {"select", "foreach"}
    weight = 4 + weight_of(expression)

    def over(scope: Scope) -> Value:
        found = values(scope)
        if makes and (is_nothing(found) or found in (False, 0, "")):
            raise EvaluationError(f"{name}: there is nothing to go through")
        try:
            items = as_list(found)
        except EvaluationError as exc:
            raise exc.leaving({"any": False, "all": True}.get(name)) from None
        scope.count(len(items) * weight)

        def each(item: Value) -> Value:
            value = body(scope.with_local(item))
            if makes:
                scope.weigh_all(value)
            return value

        return gather(items, each, found)

    return source.call(over, "scope")


def _get_property(call: Call, place: Place, source: Source) -> str:
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
            value = (
                follow(scope, owner, steps_of(to_text(name))) if to_text(name) else UNDEFINED
            )
        if value is UNDEFINED and not place.condition:
            return scope.missing(DataName(to_text(name)))
        return value

    return source.call(get, "scope")


def _string_or_value(call: Call, place: Place, source: Source) -> str:
    [argument] = call.arguments
    if not isinstance(argument, Constant):
        raise TemplateError("stringOrValue wants a literal: data are never read as a template")
    nodes = parse_text(str(argument.value))
    if len(nodes) == 1 and not isinstance(nodes[0], Constant):
        return write_node(nodes[0], place, source)
    return write_node(Call("concat", (Constant(""), *nodes)), place, source)


_FORMS: dict[str, Callable[[Call, Place, Source], str]] = {
    "if": _if, "&&": _and, "||": _or, "!": _not, "exists": _exists, "contains": _contains,
    **dict.fromkeys(COMPARISONS, _compared), "empty": _empty,
    **dict.fromkeys(GATHERERS, _over_list),
    "getProperty": _get_property, "stringOrValue": _string_or_value,
}  # fmt: skip
