"""How comparisons and the functions that go through lists decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from notifier.templating.functions import FUNCTIONS
from notifier.templating.functions.lists import empty
from notifier.templating.values import (
    EvaluationError,
    Value,
    equal,
    is_nothing,
    is_number,
    is_true,
)


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


GATHERERS: dict[str, Callable[[list[Value], Callable[[Value], Value], Value], Value]] = {
    "select": lambda items, body, _: [body(item) for item in items],
    "foreach": lambda items, body, _: [body(item) for item in items],
    "where": _where,
    "any": lambda items, body, _: any(_attempt(body, item) for item in items),
    "all": lambda items, body, _: all(_attempt(body, item) for item in items),
}
