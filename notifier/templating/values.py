"""Handle values as the expression language does: JSON as in ECMAScript."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import Enum
from json.encoder import encode_basestring as _quoted

from notifier.events.numerals import SentNumber


class EvaluationError(Exception):
    """An expression has no value for these data: false in a condition."""

    fallback: object = None
    """The result of `||` if this is its last part; None means undefined."""

    def with_fallback(self, value: object) -> EvaluationError:
        """Return this error with a result for `||`."""
        self.fallback = value
        return self


class AbortError(Exception):
    """An expression breaks off, even in a condition: the reference throws."""


class NoResultError(AbortError):
    """An index without value; it even breaks off the text around it."""


class Undefined(Enum):
    """The value of a member that does not exist, unlike null."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED


class Drop(Enum):
    """The value of an element that must not be shown."""

    DROP = "drop"


DROP = Drop.DROP

Value = object
"""JSON values, UNDEFINED, Ticks and bytes."""


class Ticks(int):
    """A count of 100 ns units, beyond a double's exactness; shown as text."""


_EXACT = 2**53
_INTEGER_KEY = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z")


def is_nothing(value: Value) -> bool:
    """Tell whether a value is null or undefined."""
    return value is None or value is UNDEFINED


def is_number(value: Value) -> bool:
    """Tell whether a value is a number; NaN, booleans and Ticks are not."""
    return type(value) is int or (isinstance(value, float) and value == value)


def is_integer(value: Value) -> bool:
    """Tell whether a value is a whole number (Number.isInteger)."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def is_true(value: Value) -> bool:
    """Return the truth of a value; only false, null, undefined are untrue."""
    return value is not False and value is not None and value is not UNDEFINED


def number(value: float) -> float:
    """Return a result as a double holds it; whole numbers are int."""
    if type(value) is int:
        return value if -_EXACT <= value <= _EXACT else as_double(value)
    if value.is_integer() and -_EXACT <= value <= _EXACT:
        return int(value)
    return float(value)


def strictly_equal(left: Value, right: Value) -> bool:
    """Compare as `===` does: lists and objects only equal themselves."""
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return left is right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return (type(left) is type(right) and left == right) or (
        is_number(left) and is_number(right) and left == right
    )


def equal(left: Value, right: Value) -> bool:
    """Compare by value; null equals undefined."""
    if is_nothing(left) or is_nothing(right):
        return is_nothing(left) and is_nothing(right)
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(equal(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(_same(value, right[key]) for key, value in left.items())
        )
    if is_number(left) and is_number(right):
        one, other = as_double(left), as_double(right)  # type: ignore[arg-type]
        return abs(one - other) < 2**-52 or one == other
    return strictly_equal(left, right)


def _same(left: Value, right: Value) -> bool:
    """Compare members of objects: deep, exact, null is not undefined."""
    if isinstance(left, list | dict):
        return equal(left, right)
    return left is right or strictly_equal(left, right)


def to_text(value: Value) -> str:
    """Write a value as JavaScript's toString does.

    Raises:
        EvaluationError: The value is null or undefined.
    """
    if isinstance(value, str):
        return value
    if value is None or value is UNDEFINED:
        raise EvaluationError("has no value to show")
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, SentNumber):
        return value.text
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, bytes):
        return ",".join(map(str, value))
    if isinstance(value, list):
        return ",".join("" if is_nothing(item) else to_text(item) for item in value)
    return "[object Object]"


def as_double(value: float) -> float:
    """Return the number as a double; an infinity beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number_text(value: float) -> str:
    """Write a number in its shortest form (ECMA-262 6.1.6.1.20)."""
    if isinstance(value, Ticks):
        return int.__repr__(value)
    if isinstance(value, int):
        # The reference rounds to a double; the number of a claim has all its digits.
        return str(value)
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa.removesuffix(".0")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, power = whole + fraction.rstrip("0"), int(exponent)
    if 0 <= power < 21:
        return sign + digits.ljust(power + 1, "0")
    if -7 < power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if power > 0 else '-'}{abs(power)}"


def keys_of(value: dict[str, Value]) -> Iterable[str]:
    """Return the keys in the order of Object.keys: whole numbers first."""
    if not any(map(_INTEGER_KEY.match, value)):
        return value
    numbered = [key for key in value if _INTEGER_KEY.match(key)]
    return sorted(numbered, key=int) + [key for key in value if not _INTEGER_KEY.match(key)]


def to_json(value: Value) -> str:
    """Write a value as JSON.stringify does."""
    if isinstance(value, str | Ticks):
        return _quoted(str(value))
    if isinstance(value, bool) or is_nothing(value):
        return "null" if is_nothing(value) else "true" if value else "false"
    if isinstance(value, int | float):
        return to_text(value) if isinstance(value, int) or math.isfinite(value) else "null"
    if isinstance(value, bytes):
        value = {str(index): byte for index, byte in enumerate(value)}
    if isinstance(value, list):
        return f"[{','.join(map(to_json, value))}]"
    if isinstance(value, dict):
        members = (
            f"{_quoted(key)}:{to_json(value[key])}"
            for key in keys_of(value)
            if value[key] is not UNDEFINED
        )
        return f"{{{','.join(members)}}}"
    raise EvaluationError("is not JSON")


def _plain_number(value: float) -> Value:
    if -_EXACT <= value <= _EXACT:
        return value
    shown = number_text(value)
    if shown.lstrip("-").isdigit():
        return int(shown)
    return float(shown) if "e" in shown else None


def plain(value: Value) -> Value:
    """Return the value as it is after writing and reading JSON."""
    if isinstance(value, str | bool):
        return value
    if value is UNDEFINED:
        return None
    if isinstance(value, Ticks):
        return number_text(value)
    if isinstance(value, int | float):
        return _plain_number(value)
    if isinstance(value, bytes):
        return {str(index): byte for index, byte in enumerate(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not UNDEFINED}
    return value


def member(container: Value, name: str) -> Value:
    """Return a member by name, in any case, else UNDEFINED."""
    if isinstance(container, dict):
        if name in container:
            return container[name]
        folded = name.lower()
        for key in container:
            if key.lower() == folded:
                return container[key]
    elif isinstance(container, list | str) and _INTEGER_KEY.match(name):
        index = int(name)
        return container[index] if index < len(container) else UNDEFINED
    return UNDEFINED


def units(text: str) -> str:
    """Return text with one character per UTF-16 code unit, as JavaScript."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    raw = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(raw[index] | raw[index + 1] << 8) for index in range(0, len(raw), 2))


def joined(text: str) -> str:
    """Undo units(); half a character, which no UTF-8 can hold, becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
