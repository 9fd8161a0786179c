"""The prebuilt functions and operators that cards may use, by name."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import cast
from urllib.parse import quote, unquote

from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Value,
    equal,
    is_nothing,
    is_number,
    is_true,
    member,
    to_text,
)

MAX_TEXT = 200_000
"""Longest text a function may make, in characters."""

_MAX_MATCHED = 2_000
_MAX_PATTERN = 300

Function = Callable[..., Value]


def text_of(value: Value) -> str:
    """Return a string argument; null counts as ''."""
    if is_nothing(value):
        return ""
    if isinstance(value, str):
        return value
    raise EvaluationError("wants text")


def _number(value: Value) -> float:
    if is_number(value):
        return cast("float", value)
    raise EvaluationError("wants a number")


def _whole(value: Value) -> int:
    number = _number(value)
    if number != int(number):
        raise EvaluationError("wants a whole number")
    return int(number)


def _list(value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    raise EvaluationError("wants a list")


def _concat(*values: Value) -> Value:
    if (
        values
        and all(isinstance(value, list) or is_nothing(value) for value in values)
        and any(isinstance(value, list) for value in values)
    ):
        return [item for value in values if isinstance(value, list) for item in value]
    return _bounded("".join("" if is_nothing(value) else to_text(value) for value in values))


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise EvaluationError(f"makes more than {MAX_TEXT} characters")
    return text


def _add(*values: Value) -> Value:
    if all(is_number(value) for value in values):
        return sum(cast("Sequence[float]", values))
    if any(isinstance(value, list | dict) for value in values):
        raise EvaluationError("cannot be added")
    return _bounded("".join("" if is_nothing(value) else to_text(value) for value in values))


def _divide(left: Value, right: Value) -> Value:
    dividend, divisor = _number(left), _number(right)
    if divisor == 0:
        raise EvaluationError("divides by zero")
    if isinstance(dividend, int) and isinstance(divisor, int):
        return int(dividend / divisor)
    return dividend / divisor


def _modulo(left: Value, right: Value) -> Value:
    divisor = _number(right)
    if divisor == 0:
        raise EvaluationError("divides by zero")
    return math.fmod(_number(left), divisor)


def _power(left: Value, right: Value) -> Value:
    base, exponent = _number(left), _number(right)
    if abs(exponent) > 1000:
        raise EvaluationError("has too large an exponent")
    try:
        result = float(base) ** float(exponent)
    except (OverflowError, ZeroDivisionError):
        raise EvaluationError("is out of range") from None
    if isinstance(result, complex):
        raise EvaluationError("is not a real number")
    return result


def _compare(left: Value, right: Value) -> int:
    if is_number(left) and is_number(right):
        a, b = cast("float", left), cast("float", right)
        return (a > b) - (a < b)
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    raise EvaluationError("compares values of different kinds")


def _count(value: Value) -> Value:
    if isinstance(value, str | list | dict):
        return len(value)
    raise EvaluationError("wants text or a list")


def _empty(value: Value) -> Value:
    return is_nothing(value) or (isinstance(value, str | list | dict) and len(value) == 0)


def _contains(container: Value, item: Value) -> Value:
    if isinstance(container, str):
        return text_of(item) in container
    if isinstance(container, list):
        return any(equal(entry, item) for entry in container)
    if isinstance(container, dict):
        return member(container, text_of(item)) is not UNDEFINED
    return False


def _join(items: Value, separator: Value, last: Value = UNDEFINED) -> Value:
    texts = ["" if is_nothing(item) else to_text(item) for item in _list(items)]
    if is_nothing(last) or len(texts) < 2:
        return _bounded(text_of(separator).join(texts))
    return _bounded(text_of(separator).join(texts[:-1]) + text_of(last) + texts[-1])


def _first(value: Value) -> Value:
    return value[0] if isinstance(value, str | list) and value else UNDEFINED


def _last(value: Value) -> Value:
    return value[-1] if isinstance(value, str | list) and value else UNDEFINED


def _substring(text: Value, start: Value, length: Value = UNDEFINED) -> Value:
    subject, begin = text_of(text), _whole(start)
    size = len(subject) - begin if is_nothing(length) else _whole(length)
    if not 0 <= begin <= len(subject) or size < 0 or begin + size > len(subject):
        raise EvaluationError("reaches beyond the text")
    return subject[begin : begin + size]


def _replace(text: Value, old: Value, new: Value) -> Value:
    if not text_of(old):
        raise EvaluationError("replaces an empty text")
    return _bounded(text_of(text).replace(text_of(old), text_of(new)))


def _replace_ignoring_case(text: Value, old: Value, new: Value) -> Value:
    replacement = text_of(new)
    return _bounded(
        re.sub(
            re.escape(text_of(old)), lambda _: replacement, text_of(text), flags=re.IGNORECASE
        )
    )


def _split(text: Value, separator: Value = "") -> Value:
    by = text_of(separator)
    return list(text_of(text)) if not by else text_of(text).split(by)


def _float(value: Value) -> Value:
    if is_number(value):
        return value
    try:
        number = float(text_of(value).strip())
    except ValueError:
        raise EvaluationError("is not a number") from None
    if not math.isfinite(number):
        raise EvaluationError("is not a finite number")
    return number


def _int(value: Value) -> Value:
    number = _float(value)
    return int(cast("float", number))


def _bool(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    if is_number(value):
        return value != 0
    if isinstance(value, str):
        return value.lower() == "true"
    return is_true(value)


def _format_number(value: Value, digits: Value = 2, _locale: Value = UNDEFINED) -> Value:
    places = _whole(digits)
    if not 0 <= places <= 20:
        raise EvaluationError("wants 0 to 20 digits")
    try:
        # The shortest decimal that stands for the number, rounded half up: 1.005 is shown as a person reads it.
        rounded = Decimal(to_text(_number(value))).quantize(
            Decimal(1).scaleb(-places), ROUND_HALF_UP
        )
    except InvalidOperation:
        raise EvaluationError("is out of range") from None
    # The reference writes a negative number with U+2212.
    return f"{rounded:,}".replace("-", "\u2212")


def _round(value: Value, digits: Value = 0) -> Value:
    places = _whole(digits)
    if not 0 <= places <= 15:
        raise EvaluationError("wants 0 to 15 digits")
    scaled = _number(value) * 10**places
    result = math.floor(scaled + 0.5) / 10**places
    return int(result) if places == 0 else result


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of isMatch; one whose repetitions nest without bound could take forever and is refused."""
    if len(pattern) > _MAX_PATTERN:
        raise EvaluationError(f"has a pattern of more than {_MAX_PATTERN} characters")
    if re.search(r"[*+]\)?[*+{]|\([^)]*(?:[*+]|\{\d+,\})[^)]*\)(?:[*+]|\{\d*,\})", pattern):
        raise EvaluationError("has a pattern with nested repetition")
    try:
        return re.compile(pattern)
    except re.error:
        raise EvaluationError("has a pattern that is not a regular expression") from None


def _is_match(text: Value, pattern: Value) -> Value:
    return compile_pattern(text_of(pattern)).search(text_of(text)[:_MAX_MATCHED]) is not None


def _indices_and_values(value: Value) -> Value:
    if isinstance(value, dict):
        return [{"index": key, "value": item} for key, item in value.items()]
    return [{"index": index, "value": item} for index, item in enumerate(_list(value))]


def _json(value: Value) -> Value:
    try:
        return cast("Value", json.loads(text_of(value)))
    except (ValueError, RecursionError):
        raise EvaluationError("is not JSON") from None


def _range(start: Value, count: Value) -> Value:
    size = _whole(count)
    if not 0 < size <= 1000:
        raise EvaluationError("wants a count from 1 to 1000")
    return list(range(_whole(start), _whole(start) + size))


def _extreme(pick: Callable[[list[float]], float]) -> Function:
    def extreme(*values: Value) -> Value:
        flat = [
            item for value in values for item in (value if isinstance(value, list) else [value])
        ]
        if not flat:
            raise EvaluationError("wants at least one number")
        return pick([_number(item) for item in flat])

    return extreme


def _average(values: Value) -> Value:
    numbers = [_number(item) for item in _list(values)]
    if not numbers:
        raise EvaluationError("wants at least one number")
    return sum(numbers) / len(numbers)


def _sort_by(descending: bool) -> Function:
    def sort_by(items: Value, name: Value = UNDEFINED) -> Value:
        found = _list(items)
        keys = [item if is_nothing(name) else member(item, text_of(name)) for item in found]
        if not (
            all(is_number(key) for key in keys) or all(isinstance(key, str) for key in keys)
        ):
            raise EvaluationError("sorts values of different kinds")
        order = sorted(
            range(len(found)),
            key=lambda number: cast("float", keys[number]),
            reverse=descending,
        )
        return [found[number] for number in order]

    return sort_by


def _unique(items: list[Value]) -> list[Value]:
    if len(items) > 1000:
        raise EvaluationError("compares more than 1000 items")
    return [item for number, item in enumerate(items) if item not in items[:number]]


def _set_property(container: Value, name: Value, value: Value) -> Value:
    if not isinstance(container, dict):
        raise EvaluationError("wants an object")
    return {**container, text_of(name): value}


def _remove_property(container: Value, name: Value) -> Value:
    if not isinstance(container, dict):
        raise EvaluationError("wants an object")
    return {key: value for key, value in container.items() if key != text_of(name)}


def _add_property(container: Value, name: Value, value: Value) -> Value:
    if isinstance(container, dict) and text_of(name) in container:
        raise EvaluationError("adds a member that exists")
    return _set_property(container, name, value)


def _timestamp(value: Value) -> datetime:
    try:
        when = datetime.fromisoformat(text_of(value))
    except ValueError:
        raise EvaluationError("is not an ISO 8601 time") from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


_DATE_PARTS: dict[str, Callable[[datetime], str]] = {
    "yyyy": lambda t: f"{t.year:04}", "yy": lambda t: f"{t.year % 100:02}",
    "MMMM": lambda t: f"{t:%B}", "MMM": lambda t: f"{t:%b}", "MM": lambda t: f"{t.month:02}", "M": lambda t: str(t.month),
    "dddd": lambda t: f"{t:%A}", "ddd": lambda t: f"{t:%a}", "dd": lambda t: f"{t.day:02}", "d": lambda t: str(t.day),
    "HH": lambda t: f"{t.hour:02}", "H": lambda t: str(t.hour),
    "hh": lambda t: f"{(t.hour + 11) % 12 + 1:02}", "h": lambda t: str((t.hour + 11) % 12 + 1),
    "mm": lambda t: f"{t.minute:02}", "m": lambda t: str(t.minute), "ss": lambda t: f"{t.second:02}", "s": lambda t: str(t.second),
    "fff": lambda t: f"{t.microsecond // 1000:03}", "tt": lambda t: "AM" if t.hour < 12 else "PM", "K": lambda _: "Z",
}  # fmt: skip
_DATE_PART = re.compile("'[^']*'|" + "|".join(sorted(_DATE_PARTS, key=len, reverse=True)))


def _format_date_time(
    value: Value, form: Value = "yyyy-MM-ddTHH:mm:ss.fffZ", _locale: Value = UNDEFINED
) -> Value:
    when = _timestamp(value)

    def part(match: re.Match[str]) -> str:
        token = match[0]
        return token[1:-1] if token.startswith("'") else _DATE_PARTS[token](when)

    return _DATE_PART.sub(part, text_of(form))


def _uri(text: Value) -> Value:
    return quote(text_of(text), safe="~()*!.'-_")


def _first_given(*values: Value) -> Value:
    return next((value for value in values if not is_nothing(value)), None)


FUNCTIONS: dict[str, Function] = {
    "concat": _concat, "+": _add, "add": _add, "plus": lambda v: +_number(v), "negate": lambda v: -_number(v),
    "-": lambda a, b: _number(a) - _number(b), "sub": lambda a, b: _number(a) - _number(b),
    "*": lambda a, b: _number(a) * _number(b), "mul": lambda a, b: _number(a) * _number(b),
    "/": _divide, "div": _divide, "%": _modulo, "mod": _modulo, "^": _power, "exp": _power,
    "&": lambda a, b: _bounded(("" if is_nothing(a) else to_text(a)) + ("" if is_nothing(b) else to_text(b))),
    "==": equal, "equals": equal, "!=": lambda a, b: not equal(a, b),
    "<": lambda a, b: _compare(a, b) < 0, "less": lambda a, b: _compare(a, b) < 0,
    "<=": lambda a, b: _compare(a, b) <= 0, "lessOrEquals": lambda a, b: _compare(a, b) <= 0,
    ">": lambda a, b: _compare(a, b) > 0, "greater": lambda a, b: _compare(a, b) > 0,
    ">=": lambda a, b: _compare(a, b) >= 0, "greaterOrEquals": lambda a, b: _compare(a, b) >= 0,
    "not": lambda v: not is_true(v), "exists": lambda v: not is_nothing(v), "empty": _empty,
    "length": lambda v: len(text_of(v)), "count": _count, "contains": _contains, "join": _join, "first": _first, "last": _last,
    "toUpper": lambda v: text_of(v).upper(), "toLower": lambda v: text_of(v).lower(), "trim": lambda v: text_of(v).strip(),
    "startsWith": lambda a, b: text_of(a).startswith(text_of(b)), "endsWith": lambda a, b: text_of(a).endswith(text_of(b)),
    "substring": _substring, "replace": _replace, "replaceIgnoreCase": _replace_ignoring_case, "split": _split,
    "indexOf": lambda a, b: a.index(b) if isinstance(a, list) and b in a else (text_of(a).find(text_of(b)) if not isinstance(a, list) else -1),
    "lastIndexOf": lambda a, b: text_of(a).rfind(text_of(b)),
    "titleCase": lambda v: " ".join(word[:1].upper() + word[1:].lower() for word in text_of(v).split(" ")),
    "sentenceCase": lambda v: text_of(v)[:1].upper() + text_of(v)[1:].lower(),
    "string": lambda v: "" if is_nothing(v) else to_text(v), "float": _float, "int": _int, "bool": _bool, "json": _json,
    "createArray": lambda *values: list(values), "union": lambda *lists: _unique([item for items in lists for item in _list(items)]), "intersection": lambda a, *rest: [x for x in _list(a) if all(x in _list(other) for other in rest)],
    "reverse": lambda v: v[::-1] if isinstance(v, str) else list(reversed(_list(v))), "flatten": lambda v: [y for x in _list(v) for y in (x if isinstance(x, list) else [x])],
    "unique": lambda v: _unique(_list(v)), "skip": lambda v, n: _list(v)[_whole(n):], "take": lambda v, n: (v if isinstance(v, str) else _list(v))[:_whole(n)],
    "subArray": lambda v, a, b=UNDEFINED: _list(v)[_whole(a): None if is_nothing(b) else _whole(b)],
    "sortBy": _sort_by(descending=False), "sortByDescending": _sort_by(descending=True), "indicesAndValues": _indices_and_values,
    "range": _range, "min": _extreme(min), "max": _extreme(max), "sum": lambda v: sum(_number(x) for x in _list(v)), "average": _average,
    "round": _round, "floor": lambda v: math.floor(_number(v)), "ceiling": lambda v: math.ceil(_number(v)), "abs": lambda v: abs(_number(v)),
    "sqrt": lambda v: _power(v, 0.5), "formatNumber": _format_number, "isMatch": _is_match,
    "isString": lambda v: isinstance(v, str), "isInteger": lambda v: is_number(v) and v == int(v), "isFloat": lambda v: is_number(v) and v != int(v),
    "isArray": lambda v: isinstance(v, list), "isObject": lambda v: isinstance(v, dict), "isBoolean": lambda v: isinstance(v, bool),
    "getProperty": lambda o, n: member(o, text_of(n)), "setProperty": _set_property, "removeProperty": _remove_property, "addProperty": _add_property,
    "coalesce": _first_given, "formatDateTime": _format_date_time, "date": lambda v: _format_date_time(v, "M/dd/yyyy"),
    "year": lambda v: _timestamp(v).year, "month": lambda v: _timestamp(v).month, "dayOfMonth": lambda v: _timestamp(v).day,
    "dayOfWeek": lambda v: _timestamp(v).isoweekday() % 7, "dayOfYear": lambda v: _timestamp(v).timetuple().tm_yday,
    "uriComponent": _uri, "uriComponentToString": lambda v: unquote(text_of(v)),
}  # fmt: skip

ALIASES = {
    "exist": "exists", "lower": "toLower", "upper": "toUpper", "greaterThan": "greater", "equal": "equals",
}  # fmt: skip

REFUSED = frozenset(
    {"rand", "newGuid", "utcNow", "getPastTime", "getFutureTime", "isPresent", "isDefinite"}
)
"""Random, clock-dependent or meaningless in a card: refused by name."""
