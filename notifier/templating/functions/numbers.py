"""Functions on numbers, and conversions to and from text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import cycle
from typing import cast

from notifier.templating.functions.arguments import (
    MAX_ITEMS,
    bounded,
    given_text,
    items,
    numeric,
    table,
    whole,
)
from notifier.templating.functions.text import SPACES, stringify
from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Ticks,
    Value,
    is_integer,
    is_nothing,
    is_number,
    number,
    number_text,
    to_text,
)

_FLOAT = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_INT = re.compile(r"[+-]?[0-9]+")
_NO_FRACTION = 2**52
"""From here on a double is a whole number."""


def add(*values: Value) -> Value:
    """Add numbers, or join texts."""
    result = values[0]
    for value in values:
        if not (is_number(value) or isinstance(value, str) or value is UNDEFINED):
            raise EvaluationError("adds numbers or texts only")
    for value in values[1:]:
        if is_number(result) and is_number(value):
            result = number(cast("float", result) + cast("float", value))
        elif (is_number(result) and value is UNDEFINED) or (
            is_number(value) and result is UNDEFINED
        ):
            raise EvaluationError("cannot add a number and a value that is missing")
        else:
            result = bounded(
                "".join("" if part is UNDEFINED else to_text(part) for part in (result, value))
            )
    return result


def _folded(operation: Callable[[float, float], float]) -> Callable[..., Value]:
    def fold(*values: Value) -> Value:
        numbers = [numeric(value) for value in values]
        result = numbers[0]
        for value in numbers[1:]:
            result = number(operation(result, value))
        return result

    return fold


def _divided(left: float, right: float) -> float:
    if right == 0:
        raise EvaluationError("divides by zero")
    if is_integer(left) and is_integer(right):
        return math.floor(left / right)
    return left / right


def power(left: float, right: float) -> float:
    """Raise to a power as Math.pow does; NaN is refused."""
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        if left == 0:
            return math.inf
        raise EvaluationError("is not a real number") from None


def _modulo(left: Value, right: Value) -> Value:
    dividend, divisor = whole(left), whole(right)
    if divisor == 0:
        raise EvaluationError("divides by zero")
    return int(math.fmod(dividend, divisor))


def rounded(value: float, digits: int) -> float:
    """Round half towards positive infinity, as Math.round does."""
    scaled = value * 10**digits
    if abs(scaled) >= _NO_FRACTION:
        return value
    nearest = math.floor(scaled)
    if scaled - nearest >= 0.5:
        nearest += 1
    return number(nearest / 10**digits) if digits else nearest


def _round(value: Value, digits: Value = 0) -> Value:
    places = whole(digits)
    if not 0 <= places <= 15:
        raise EvaluationError("needs 0 to 15 digits")
    return rounded(numeric(value), places)


def _extreme(pick: Callable[[Sequence[float]], float], least: float) -> Callable[..., Value]:
    def extreme(*values: Value) -> Value:
        found = [
            numeric(item)
            for value in values
            for item in (value if isinstance(value, list) else [value])
        ]
        return number(pick([least, *found]))

    return extreme


def _sum(values: Value) -> float:
    numbers = [numeric(item) for item in items(values)]
    if not numbers:
        raise EvaluationError("needs at least one number")
    total: float = 0
    for each in numbers:
        total += each
    return number(total)


def _range(start: Value, count: Value) -> Value:
    begin, size = whole(start), whole(count)
    if not 0 < size <= MAX_ITEMS:
        raise EvaluationError(f"needs a count from 1 to {MAX_ITEMS}")
    return list(range(begin, begin + size))


def _sqrt(value: Value) -> Value:
    if numeric(value) < 0:
        raise EvaluationError("is not a real number")
    return number(math.sqrt(numeric(value)))


def _float(value: Value) -> Value:
    if isinstance(value, Ticks):
        return float(value)
    if isinstance(value, str):
        match = _FLOAT.match(value.lstrip(SPACES))
        if match is None:
            raise EvaluationError("is not a number")
        return number(float(match[0].replace("Infinity", "inf")))
    return value if is_number(value) else UNDEFINED


def _int(value: Value) -> Value:
    if isinstance(value, Ticks):
        return number(float(value))
    if isinstance(value, str) or is_number(value):
        match = _INT.match(to_text(value).lstrip(SPACES))
        if match is None or len(match[0]) > 400:
            raise EvaluationError("is not a whole number")
        return number(int(match[0]))
    return UNDEFINED


def _bool(value: Value) -> Value:
    if is_number(value):
        return value != 0
    if isinstance(value, bool) or is_nothing(value):
        return value is True
    return "false" not in to_text(value).lower()


def formatted(value: float, places: int, locale: Value) -> str:
    """Write a number, grouped for the locale as d3-format `,.Nf` does."""
    size = abs(value)
    if isinstance(size, int):
        shown = f"{size:,}" + (f".{'0' * places}" if places else "")
    elif size >= 1e21 or not math.isfinite(size):
        return ("\u2212" if value < 0 else "") + number_text(float(size))
    else:
        shown = f"{size:,.{places}f}"
    if locale is not UNDEFINED and locale != "en-US" and isinstance(locale, str):
        rules = table("locales.json").get(locale, {})
        shown = _localised(shown, cast("dict[str, object]", rules))
    negative = value < 0 and any(digit in shown for digit in "123456789١٢٣٤٥٦٧٨٩")
    return f"\u2212{shown}" if negative else shown


def _localised(shown: str, rules: dict[str, object]) -> str:
    digits, _, decimals = shown.replace(",", "").partition(".")
    grouping = cast("list[int]", rules.get("grouping", [3]))
    text = _grouped(digits, grouping, str(rules.get("thousands", ",")))
    if decimals:
        text += f"{rules.get('decimal', '.')}{decimals}"
    numerals = cast("list[str] | None", rules.get("numerals"))
    if not numerals:
        return text
    return "".join(numerals[int(sign)] if sign in "0123456789" else sign for sign in text)


def _grouped(digits: str, sizes: list[int], separator: str) -> str:
    parts: list[str] = []
    for size in cycle(sizes):
        if not digits:
            break
        parts.insert(0, digits[-size:])
        digits = digits[:-size]
    return separator.join(parts)


EXACT_PLACES = 15
"""Decimals up to which a number is rounded before it is written."""


@lru_cache(maxsize=EXACT_PLACES + 1)
def decimals(places: int) -> Callable[[float], str]:
    """Return formatNumber with this many decimals, en-US.

    It takes at most EXACT_PLACES decimals and numbers from 0 to 10**15.
    """
    power, form = 10**places, f",.{places}f"

    def write(value: float) -> str:
        scaled = value * power
        if scaled >= _NO_FRACTION:
            return format(value, form)
        # As `rounded`, which is called for less usual numbers.
        nearest = math.floor(scaled)
        return format((nearest + (scaled - nearest >= 0.5)) / power, form)

    return write


def _format_number(value: Value, digits: Value, locale: Value = UNDEFINED) -> Value:
    amount, places = numeric(value), whole(digits)
    if places < 0:
        raise EvaluationError("needs 0 digits or more")
    if places <= EXACT_PLACES and math.isfinite(amount):
        amount = rounded(amount, places)
    return formatted(amount, min(places, 20), locale)


def _string(value: Value, locale: Value = UNDEFINED) -> Value:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if not is_number(value):
        return value if isinstance(value, str) else stringify(value)
    amount = cast("float", value)
    return _shortest(amount) if locale is UNDEFINED else _all_decimals(amount, locale)


def _all_decimals(amount: float, locale: Value) -> str:
    _, _, decimals = number_text(amount).partition(".")
    return formatted(amount, min(len(decimals), 20), locale)


@lru_cache(maxsize=256)
def _shortest(amount: float) -> str:
    """Write a number as `string` does; cards ask for one amount often."""
    return _all_decimals(amount, UNDEFINED)


def _json(value: Value) -> Value:
    def refuse(_: str) -> Value:
        raise ValueError

    try:
        found = json.loads(given_text(value).strip(SPACES), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise EvaluationError("is not JSON") from None
    return cast("Value", found)


def _unique(values: list[Value]) -> list[Value]:
    """Drop repeated values as a Set does; lists and objects all differ."""
    kept: dict[object, Value] = {}
    for value in values:
        kept.setdefault(_identity(value), value)
    return list(kept.values())


def _identity(value: Value) -> object:
    if isinstance(value, list | dict | bytes):
        return ("ref", id(value))
    return ("bool", value) if isinstance(value, bool) else ("value", value)


def _intersection(*lists: Value) -> Value:
    found = items(lists[0])
    for other in lists:
        keys = {_identity(value) for value in items(other)}
        found = [value for value in found if _identity(value) in keys]
    return _unique(found)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "+": add,
    "-": _folded(lambda left, right: left - right),
    "*": _folded(lambda left, right: left * right),
    "/": _folded(_divided),
    "^": _folded(power),
    "%": _modulo,
    "abs": lambda value: abs(numeric(value)),
    "ceiling": lambda value: number(math.ceil(numeric(value))),
    "floor": lambda value: number(math.floor(numeric(value))),
    "round": _round,
    "sqrt": _sqrt,
    "min": _extreme(min, math.inf),
    "max": _extreme(max, -math.inf),
    "sum": _sum,
    "average": lambda values: number(_sum(values) / len(items(values))),
    "range": _range,
    "float": _float,
    "int": _int,
    "bool": _bool,
    "string": _string,
    "formatNumber": _format_number,
    "json": _json,
    "unique": lambda values: _unique(items(values)),
    "union": lambda *lists: _unique([value for values in lists for value in items(values)]),
    "intersection": _intersection,
    "isFloat": lambda value: is_number(value) and not is_integer(value),
    "isInteger": lambda value: is_integer(value),
    "isString": lambda value: isinstance(value, str),
    "isArray": lambda value: isinstance(value, list),
    "isBoolean": lambda value: isinstance(value, bool),
    "isObject": lambda value: value is None or isinstance(value, list | dict | bytes | Ticks),
}
