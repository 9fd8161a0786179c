"""Run functions and comparisons of expressions, and count their work."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import cast

from notifier.events.numerals import SentNumber
from notifier.templating.codegen import Evaluate
from notifier.templating.functions import FUNCTIONS, times, timex
from notifier.templating.functions.lists import as_list, empty
from notifier.templating.scope import FEW, LONG, Scope
from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Value,
    equal,
    is_nothing,
    is_number,
    is_true,
)

_USUAL_STEPS = 3
_STEPS = {
    **dict.fromkeys(times.FUNCTIONS, 40),
    **dict.fromkeys(timex.FUNCTIONS, 40),
}
"""Steps that each call takes at least."""
_CHARACTERS = {
    **dict.fromkeys(("uriComponent", "uriComponentToString", "countWord", "titleCase"), 2),
    **dict.fromkeys((*times.FUNCTIONS, *timex.FUNCTIONS), 1),
    **dict.fromkeys(("replaceIgnoreCase", "binary", "dataUriToBinary", "base64ToBinary"), 1),
    **dict.fromkeys(("isMatch", "split", "json", "dataUriToString"), 5),
}  # fmt: skip
"""Characters that count as one step, by function."""
_USUAL_CHARACTERS = 50
_DEEP = frozenset(
    {"concat", "string", "jsonStringify", "join", "flatten", "sortBy", "sortByDescending", "merge", "+"}
)  # fmt: skip
"""Functions that also read the contents of lists and objects."""
_AT_ONCE = frozenset(
    {"first", "last", "count", "createArray", "coalesce", "ignore", "if", "isArray", "isObject", "isString",
     "isBoolean", "isInteger", "isFloat", "bool", "float", "int"}
)  # fmt: skip
"""Functions that read no item."""


_SMALL = frozenset({int, float, bool, type(None), SentNumber})


def _counted(name: str, function: Callable[..., Value]) -> Callable[..., Value]:
    steps = _STEPS.get(name, _USUAL_STEPS)
    characters = _CHARACTERS.get(name, _USUAL_CHARACTERS)
    deep, at_once, sorts = name in _DEEP, name in _AT_ONCE, name.startswith("sortBy")

    def apply(scope: Scope, *values: Value) -> Value:
        scope.count(steps)
        for value in values:
            # The exact types come first: calls are many, and most values are short.
            kind = type(value)
            if kind is str:
                if len(value) > LONG:  # type: ignore[arg-type]
                    scope.count(len(value) // characters)  # type: ignore[arg-type]
            elif (
                kind not in _SMALL
                and isinstance(value, list | dict)
                and len(value) > 1
                and not at_once
            ):
                if deep:
                    scope.weigh_all(value)
                if sorts:
                    scope.count(
                        int(len(value) * log2(len(value)) * (3 if len(values) > 1 else 0.2))
                    )
                scope.count(len(value) // 2)
        try:
            result = function(*values)
        except EvaluationError as exc:
            raise EvaluationError(f"{name}: {exc}").with_fallback(
                _RESULT_ON_ERROR.get(name)
            ) from None
        except (TypeError, ValueError, OverflowError):
            raise EvaluationError(f"{name}: wrong kind of argument, or out of range") from None
        if isinstance(result, str):
            if len(result) > LONG:
                scope.count(len(result) // 20)
        elif isinstance(result, list | dict) and len(result) > FEW:
            scope.count(len(result) // 2)
        return result

    return apply


_RESULT_ON_ERROR: dict[str, Value] = {
    "indexOf": -1,
    "lastIndexOf": -1,
    **dict.fromkeys(timex.CHECKS, False),
}
"""The result that the reference gives if the function fails."""

COUNTED_FUNCTIONS = {name: _counted(name, function) for name, function in FUNCTIONS.items()}


def _ordered(test: Callable[[str | float, str | float], bool]) -> Callable[..., Value]:
    def ordered(left: Value, right: Value) -> Value:
        if is_nothing(left) or is_nothing(right):
            return False
        if (is_number(left) and is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        ):
            return test(cast("str", left), cast("str", right))
        raise EvaluationError("compares values of different kinds").with_fallback(False)

    return ordered


COMPARISONS: dict[str, Callable[..., Value]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _ordered(lambda left, right: left < right),  # type: ignore[operator]
    "<=": _ordered(lambda left, right: left <= right),  # type: ignore[operator]
    ">": _ordered(lambda left, right: left > right),  # type: ignore[operator]
    ">=": _ordered(lambda left, right: left >= right),  # type: ignore[operator]
    "empty": empty,
    "bool": FUNCTIONS["bool"],
}


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


LIST_FUNCTIONS: dict[str, Callable[[list[Value], Callable[[Value], Value], Value], Value]] = {
    "select": lambda items, body, _: [body(item) for item in items],
    "foreach": lambda items, body, _: [body(item) for item in items],
    "where": _where,
    "any": lambda items, body, _: any(_attempt(body, item) for item in items),
    "all": lambda items, body, _: all(_attempt(body, item) for item in items),
}


def over_list(name: str, values: Evaluate, body: Evaluate, *, weight: int) -> Evaluate:
    """Return a list function, such as select.

    `weight` counts as the work of `body` for one item.
    """
    gather = LIST_FUNCTIONS[name]
    makes = name in {"select", "foreach"}

    def over(scope: Scope) -> Value:
        found = values(scope)
        if makes and (is_nothing(found) or found in (False, 0, "")):
            raise EvaluationError(f"{name}: has no list to go through")
        try:
            items = as_list(found)
        except EvaluationError as exc:
            raise exc.with_fallback({"any": False, "all": True}.get(name)) from None
        scope.count(len(items) * weight)

        def each(item: Value) -> Value:
            value = body(scope.with_local(item))
            if makes:
                scope.weigh_all(value)
            return value

        return gather(items, each, found)

    return over


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


COUNTED_COMPARISONS = {name: _weighed(test) for name, test in COMPARISONS.items()}


def is_empty(scope: Scope, value: Value) -> Value:
    """Return the result of `empty`, and count its work."""
    if type(value) is list or type(value) is dict:
        scope.weigh_all(value)
    return empty(value)


def contains_item(scope: Scope, container: Value, item: Value) -> Value:
    """Return the result of `contains`, and count its work."""
    if isinstance(container, dict):
        return isinstance(item, str) and scope.member(container, item) is not UNDEFINED
    scope.weigh(container)
    if isinstance(container, list) and type(item) is not str:
        scope.weigh_all(container)
    return FUNCTIONS["contains"](container, item)
