"""Functions on lists and objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import cast

from notifier.templating.functions.arguments import bounded_list, items, whole
from notifier.templating.functions.text import SPACES, js_text
from notifier.templating.values import (
    UNDEFINED,
    AbortError,
    EvaluationError,
    Value,
    equal,
    is_nothing,
    is_number,
    joined,
    keys_of,
    member,
    to_json,
    to_text,
    units,
)


def _count(value: Value) -> Value:
    if isinstance(value, str):
        return len(units(value))
    if isinstance(value, list | dict | bytes):
        return len(value)
    raise EvaluationError("needs text, a list or an object")


def empty(value: Value) -> Value:
    """Tell whether a value is empty; a number or boolean never is."""
    return is_nothing(value) or (isinstance(value, str | list | dict) and len(value) == 0)


def _contains(container: Value, item: Value) -> Value:
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if isinstance(container, list) and type(item) is str:
        return item in container
    if isinstance(container, list):
        return any(equal(entry, item) for entry in container)
    return isinstance(item, str) and member(container, item) is not UNDEFINED


def _flatten(values: Value, depth: Value = 100) -> Value:
    times = int(cast("float", depth)) if is_number(depth) and cast("float", depth) >= 1 else 1
    result = [None if item is UNDEFINED else item for item in items(values)]
    for _ in range(min(times, 100)):
        if not any(isinstance(item, list) for item in result):
            break
        result = [
            inner for item in result for inner in (item if isinstance(item, list) else [item])
        ]
    return bounded_list(result)


def _reverse(value: Value) -> Value:
    if isinstance(value, str):
        return joined(units(value)[::-1])
    if isinstance(value, list):
        return value[::-1]
    raise EvaluationError("needs text or a list")


def _take(values: Value, count: Value) -> Value:
    if isinstance(values, str):
        return joined(units(values)[: max(whole(count), 0)])
    return items(values)[: max(whole(count), 0)]


def _sub_array(values: Value, start: Value, end: Value = None) -> Value:
    found, begin = items(values), whole(start)
    stop = len(found) if end is None else whole(end)
    if not (0 <= begin <= len(found) and 0 <= stop <= len(found)):
        raise EvaluationError("reaches beyond the list")
    return found[begin:stop]


def _indices_and_values(value: Value) -> Value:
    if isinstance(value, list):
        return [{"index": index, "value": item} for index, item in enumerate(value)]
    if isinstance(value, dict):
        return [{"index": key, "value": value[key]} for key in keys_of(value)]
    raise EvaluationError("needs a list or an object")


def as_list(value: Value) -> list[Value]:
    """Return the items, or the members of an object, to go through."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [{"key": key, "value": value[key]} for key in keys_of(value)]
    if value is None:
        raise AbortError("has no list to go through")
    raise EvaluationError("needs a list or an object")


def _by_text(value: Value) -> str:
    shown = "null" if value is None else to_text(value)
    return shown.encode("utf-16-be", "surrogatepass").hex()


def _as_number(value: Value) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    if value is None:
        return 0.0
    if isinstance(value, str | list):
        shown = to_text(value).strip(SPACES)
        try:
            return float(shown) if shown else 0.0
        except ValueError:
            return float("nan")
    return float("nan")


def _greater(left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return _by_text(left) > _by_text(right)
    return _as_number(left) > _as_number(right)


def _sorted(values: Value, name: Value, *, descending: bool) -> Value:
    found = items(values)
    if name is None:
        known = [item for item in found if item is not UNDEFINED]
        ordered = sorted(known, key=_by_text) + [UNDEFINED] * (len(found) - len(known))
    else:
        key = name if isinstance(name, str) else ""
        if any(is_nothing(item) for item in found) and len(found) > 1:
            raise AbortError("sorts items that are null by a member")

        def compare(left: Value, right: Value) -> int:
            one = left.get(key, UNDEFINED) if isinstance(left, dict) else UNDEFINED
            other = right.get(key, UNDEFINED) if isinstance(right, dict) else UNDEFINED
            return 1 if _greater(one, other) else -1 if _greater(other, one) else 0

        ordered = sorted(found, key=cmp_to_key(compare))
    return ordered[::-1] if descending else ordered


def _members(value: Value) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise EvaluationError("needs an object")


def _add_property(container: Value, name: Value, value: Value) -> Value:
    if js_text(name) in _members(container):
        raise EvaluationError("adds a member that exists already")
    return {**_members(container), js_text(name): value}


def _remove_property(container: Value, name: Value) -> Value:
    dropped = js_text(name)
    return {key: value for key, value in _members(container).items() if key != dropped}


def _merge(*values: Value) -> Value:
    merged: dict[str, Value] = {}
    for value in values:
        for each in value if isinstance(value, list) else [value]:
            if each is None and isinstance(value, list):
                continue
            if not isinstance(each, dict):
                raise EvaluationError("needs objects")
            merged.update(each)
    return merged


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "createArray": lambda *values: list(values),
    "count": _count,
    "contains": _contains,
    "flatten": _flatten,
    "reverse": _reverse,
    "skip": lambda values, count: items(values)[max(whole(count), 0) :],
    "take": _take,
    "subArray": _sub_array,
    "indicesAndValues": _indices_and_values,
    "sortBy": lambda values, name=None: _sorted(values, name, descending=False),
    "sortByDescending": lambda values, name=None: _sorted(values, name, descending=True),
    "setProperty": lambda each, name, value: {**_members(each), js_text(name): value},
    "addProperty": _add_property,
    "removeProperty": _remove_property,
    "merge": _merge,
    "jsonStringify": lambda value: value if value is UNDEFINED else to_json(value),
    "ignore": lambda value: value,
    "coalesce": lambda *values: next(
        (value for value in values if not is_nothing(value)), UNDEFINED
    ),
}
