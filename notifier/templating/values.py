"""JSON values as the expression language sees them: truth, equality, text and numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import Enum


class EvaluationError(Exception):
    """An expression has no value for these data; the template decides what that means."""


class Undefined(Enum):
    """The value of a member that does not exist, unlike null."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED

Value = object
"""JSON values, UNDEFINED, and nothing else."""


def is_nothing(value: Value) -> bool:
    """Tell whether a value is null or undefined."""
    return value is None or value is UNDEFINED


def is_number(value: Value) -> bool:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_true(value: Value) -> bool:
    """Return the truth of a value: only false, null and undefined are untrue (0 and '' are true)."""
    return value is not False and not is_nothing(value)


def equal(left: Value, right: Value) -> bool:
    """Compare by value; null equals undefined, an empty list equals an empty list."""
    if is_nothing(left) or is_nothing(right):
        return is_nothing(left) and is_nothing(right)
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left == right


def to_text(value: Value) -> str:
    """Write a value as JavaScript would in text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number_text(value)
    if is_nothing(value):
        raise EvaluationError("has no value to show")
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def number_text(value: float) -> str:
    """Write a number in the shortest form, 1.0 as 1."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def plain(value: Value) -> Value:
    """Return the value with undefined replaced by null, so that it can be written as JSON."""
    if value is UNDEFINED:
        return None
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def member(container: Value, name: str) -> Value:
    """Return a member by name; in another case when there is none in this one."""
    if not isinstance(container, Mapping):
        return UNDEFINED
    found = container.get(name, UNDEFINED)
    if found is UNDEFINED:
        folded = name.lower()
        for key in container:
            if key.lower() == folded:
                return container[key]
    return found
