"""Compile expressions to Python source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from notifier.errors import TemplateError
from notifier.templating.ast import (
    Call,
    Constant,
    Index,
    Member,
    Name,
    Node,
    show,
    weight_of,
)
from notifier.templating.codegen import MAX_BLOCKS, Evaluate, FunctionSource
from notifier.templating.functions import FUNCTIONS, compile_pattern
from notifier.templating.functions.numbers import EXACT_PLACES, decimals
from notifier.templating.parser import parse_text
from notifier.templating.paths import (
    ExpressionContext,
    begins_in_data,
    bracketed,
    compile_index,
    dynamic_path,
    indexed,
    joined,
    property_path,
    static_path,
)
from notifier.templating.runtime import (
    COMPARISONS,
    COUNTED_COMPARISONS,
    COUNTED_FUNCTIONS,
    LIST_FUNCTIONS,
    contains_item,
    is_empty,
    over_list,
)
from notifier.templating.scope import LONG, steps_of
from notifier.templating.signatures import check_call, kind_of
from notifier.templating.values import (
    EvaluationError,
    is_number,
)


def compile_node(node: Node, context: ExpressionContext) -> Evaluate:
    """Compile one expression.

    Raises:
        TemplateError: A call in it cannot be right.
    """
    source = FunctionSource()
    return source.function(write_node(node, context, source))


def write_node(node: Node, context: ExpressionContext, source: FunctionSource) -> str:
    """Write the statements that evaluate an expression; returns its atom.

    Raises as compile_node.
    """
    if source.blocks > MAX_BLOCKS:
        return source.call(compile_node(node, context), "scope")
    node = _folded(node)
    match node:
        case Constant(value):
            return source.constant(value)
        case Name() | Member():
            return _path(node, context, source)
        case Index(owner, index):
            at = indexed(
                compile_node(owner, context),
                compile_node(index, replace(context, condition=True)),
            )
            return source.call(at, "scope")
        case Call():
            return _call(node, context, source)


def _folded(node: Node) -> Node:
    """Evaluate arithmetic on numbers of the template: -5 is 0 - 5."""
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


def _path(node: Node, context: ExpressionContext, source: FunctionSource) -> str:
    """Write a.b[0].c as one path if possible, as the reference does."""
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
                parts.insert(0, compile_index(compile_node(index, context), show(index)))
                left = owner
            case _:
                break
    start = None if left is None else compile_node(left, context)
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < len(parts):
        return source.call(dynamic_path(parts, start, context), "scope")
    path = joined(texts)
    if start is not None or not begins_in_data(path, context):
        return source.call(static_path(path, start, context), "scope")
    found = source.path(steps_of(path))
    if context.condition:
        return found
    return source.assign(f"missing({path!r}) if {found} is UNDEFINED else {found}")


def _call(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    check_call(call)
    name, arguments = call.function, call.arguments
    write = _SPECIAL_FORMS.get(name)
    if write is not None:
        return write(call, context, source)
    if name == "isMatch" and isinstance(arguments[1], Constant):
        try:
            compile_pattern(str(arguments[1].value))
        except EvaluationError as exc:
            raise TemplateError(f"isMatch {exc}") from None
    atoms = [write_node(each, context, source) for each in arguments]
    fast_path = _FAST_PATHS.get(name)
    if fast_path is None:
        return source.call(COUNTED_FUNCTIONS[name], "scope", *atoms)
    source.may_raise_count += 1
    return source.assign(fast_path(call, atoms, source))


def _inside(context: ExpressionContext) -> ExpressionContext:
    return replace(context, condition=True)


def _condition(node: Node, context: ExpressionContext, source: FunctionSource) -> str:
    """Write a condition, false if it has no value; returns the test."""
    value = _or_false(lambda: write_node(node, _inside(context), source), source)
    return value if isinstance(node, Call) and node.function in _BOOLEAN else _true(value)


def _or_false(write: Callable[[], str], source: FunctionSource) -> str:
    """Write an expression that is false if it has no value; returns its name."""
    result = source.new_name()
    source.try_block(
        lambda: source.add(f"{result} = {write()}"), (_NO_VALUE, f"{result} = False")
    )
    return result


_NO_VALUE = "except EvaluationError as error"
_BOOLEAN = frozenset({"empty", "exists", "!", "&&", "==", "!=", "contains", "isMatch"})
"""Functions whose result is always true or false."""


def _true(name: str) -> str:
    return f"{name} is not False and {name} is not None and {name} is not UNDEFINED"


def _if(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    condition, yes, no = call.arguments
    asked, chosen = _condition(condition, context, source), source.new_name()
    for head, node in ((f"if {asked}", yes), ("else", no)):
        with source.block(head):
            source.add(f"{chosen} = {write_node(node, context, source)}")
    return chosen


def _and(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    all_hold = source.assign("True")
    for node in call.arguments:
        with source.block(f"if {all_hold}"):
            source.add(f"{all_hold} = {_condition(node, context, source)}")
    return all_hold


def _or(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    value, found = source.assign("False"), source.assign("False")

    def attempt(node: Node) -> None:
        source.add(f"{value} = {write_node(node, _inside(context), source)}")
        source.add(f"{found} = {_true(value)}")

    for node in call.arguments:
        with source.block(f"if not {found}"):
            source.try_block(
                partial(attempt, node),
                (
                    _NO_VALUE,
                    f"{value} = UNDEFINED if error.fallback is None else error.fallback",
                ),
            )
    with source.block(f"if {found}"):
        source.add(f"{value} = True")
    return value


def _not(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    [node] = call.arguments
    return source.assign(f"not ({_condition(node, context, source)})")


def _empty(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    [node] = call.arguments

    def write() -> str:
        value = write_node(node, _inside(context), source)
        other = f"{source.constant(is_empty)}(scope, {value})"
        numbers = source.constant(_NUMBERS)
        # By name, since a literal cannot be compared with `is`.
        value = source.variable(value)
        return (
            f"not {value} if type({value}) is str else "
            f"{value} is UNDEFINED or {value} is None or (type({value}) not in {numbers} and {other})"
        )

    return _or_false(write, source)


_NUMBERS = frozenset({int, float})


def _exists(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    [node] = call.arguments

    def write() -> str:
        value = source.variable(write_node(node, _inside(context), source))
        return f"{value} is not None and {value} is not UNDEFINED"

    return _or_false(write, source)


def _compared(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    result = source.new_name()
    atoms: list[str] = []

    def write() -> None:
        atoms.extend(write_node(node, _inside(context), source) for node in call.arguments)

    # The comparison may raise too, outside of this `try`.
    tried = source.try_block(write, (_NO_VALUE, f"{result} = False"))
    with source.block("else") if tried else nullcontext():
        if call.function == "==" and any(
            isinstance(node, Constant) and type(node.value) is str for node in call.arguments
        ):
            source.add(f"{result} = {' == '.join(atoms)}")
            return result
        compare = source.constant(COUNTED_COMPARISONS[call.function])
        compared = f"{compare}(scope, {', '.join(atoms)})"
        if call.function in _ORDERED and _is_number(call.arguments[1]):
            quick = f"{atoms[0]} {call.function} {atoms[1]}"
            # As is_number.
            of_float = f"type({atoms[0]}) is float and {atoms[0]} == {atoms[0]}"
            compared = f"{quick} if type({atoms[0]}) is int or {of_float} else {compared}"
        source.may_raise_count += 1
        source.add(f"{result} = {compared}")
    return result


_ORDERED = frozenset({"<", "<=", ">", ">="})


def _is_number(node: Node) -> bool:
    folded = _folded(node)
    return isinstance(folded, Constant) and is_number(folded.value)


def _contains(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    def write() -> str:
        held, item = (write_node(each, context, source) for each in call.arguments)
        return source.call(contains_item, "scope", held, item)

    return _or_false(write, source)


def _over_list(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    name, (items_of, local, expression) = call.function, call.arguments
    if not isinstance(local, Name):
        raise TemplateError(
            f"{name} needs a list, a name and an expression, such as {name}(items, x, x.price)"
        )
    values = compile_node(items_of, context)
    body = compile_node(expression, replace(context, names=(*context.names, local.name)))
    over = over_list(name, values, body, weight=4 + weight_of(expression))
    return source.call(over, "scope")


def _get_property(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    parts = [compile_node(argument, context) for argument in call.arguments]
    return source.call(property_path(parts, context), "scope")


def _string_or_value(call: Call, context: ExpressionContext, source: FunctionSource) -> str:
    [argument] = call.arguments
    if not isinstance(argument, Constant):
        raise TemplateError("stringOrValue needs a literal: data are never read as a template")
    nodes = parse_text(str(argument.value))
    if len(nodes) == 1 and not isinstance(nodes[0], Constant):
        return write_node(nodes[0], context, source)
    return write_node(Call("concat", (Constant(""), *nodes)), context, source)


_SPECIAL_FORMS: dict[str, Callable[[Call, ExpressionContext, FunctionSource], str]] = {
    "if": _if, "&&": _and, "||": _or, "!": _not, "exists": _exists, "contains": _contains,
    **dict.fromkeys(COMPARISONS, _compared), "empty": _empty,
    **dict.fromkeys(LIST_FUNCTIONS, _over_list),
    "getProperty": _get_property, "stringOrValue": _string_or_value,
}  # fmt: skip


def _concat(call: Call, atoms: Sequence[str], source: FunctionSource) -> str:
    joined_slowly = f"{source.constant(COUNTED_FUNCTIONS['concat'])}(scope, {', '.join(atoms)})"
    texts = [each.value for each in call.arguments if isinstance(each, Constant)]
    others = [
        atom
        for atom, each in zip(atoms, call.arguments, strict=True)
        if not isinstance(each, Constant)
    ]
    if len(others) != 1 or not texts or not all(type(text) is str for text in texts):
        return joined_slowly
    room = LONG - sum(len(str(text)) for text in texts)
    [other] = others
    # Short enough to count as no work.
    short = f"type({other}) is str and len({other}) <= {room}"
    return f"{' + '.join(atoms)} if {short} else {joined_slowly}"


def _format_number(call: Call, atoms: Sequence[str], source: FunctionSource) -> str:
    written_slowly = (
        f"{source.constant(COUNTED_FUNCTIONS['formatNumber'])}(scope, {', '.join(atoms)})"
    )
    places = call.arguments[1]
    if len(atoms) > 2 or not (
        isinstance(places, Constant)
        and type(places.value) is int
        and 0 <= places.value <= EXACT_PLACES
    ):
        return written_slowly
    [amount, _] = atoms
    quick = f"{source.constant(decimals(places.value))}({amount})"
    usual = f"(type({amount}) is float or type({amount}) is int) and 0 <= {amount} < 1e15"
    return f"{quick} if {usual} else {written_slowly}"


_FAST_PATHS: dict[str, Callable[[Call, Sequence[str], FunctionSource], str]] = {
    "concat": _concat,
    "formatNumber": _format_number,
}
"""By function: each returns the expression, given the atoms of the arguments."""
