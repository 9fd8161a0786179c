"""Check the arguments of functions, and the size of their results."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import cast

from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Value,
    is_integer,
    is_number,
)

MAX_TEXT = 200_000
"""Longest text a function may make, in characters."""

MAX_ITEMS = 10_000
"""Longest list a function may make."""


def text(value: Value, fault: str = "needs text") -> str:
    """Return text; undefined counts as ''."""
    if isinstance(value, str):
        return value
    if value is UNDEFINED:
        return ""
    raise EvaluationError(fault)


def given_text(value: Value) -> str:
    """Return text, which must be given."""
    if isinstance(value, str):
        return value
    raise EvaluationError("needs text")


def numeric(value: Value) -> float:
    """Return a number."""
    if is_number(value):
        return cast("float", value)
    raise EvaluationError("needs a number")


def whole(value: Value) -> int:
    """Return a whole number."""
    if is_integer(value):
        return int(cast("float", value))
    raise EvaluationError("needs a whole number")


def items(value: Value) -> list[Value]:
    """Return a list."""
    if isinstance(value, list):
        return value
    raise EvaluationError("needs a list")


@cache
def table(name: str) -> dict[str, object]:
    """Return a JSON file of this folder."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return cast("dict[str, object]", json.loads(text))


def bounded(value: str) -> str:
    """Return text that is not longer than a card could ever need."""
    if len(value) > MAX_TEXT:
        raise EvaluationError(f"makes more than {MAX_TEXT} characters")
    return value


def bounded_list(value: list[Value]) -> list[Value]:
    """Return a list that is not longer than a card could ever need."""
    if len(value) > MAX_ITEMS:
        raise EvaluationError(f"makes a list of more than {MAX_ITEMS}")
    return value
