"""Read and write amounts, such as 1,250.50, as producers write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache

from notifier.events.numerals import SentNumber
from notifier.templating.functions.text import stringify
from notifier.templating.values import (
    EvaluationError,
    Value,
    is_number,
    number,
    number_text,
)

_SIGNS = {ord(sign): "-" for sign in "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"}
_DIGITS = {
    **{zero + digit: str(digit) for zero in (0x660, 0x6F0, 0xFF10) for digit in range(10)},
    **dict.fromkeys(map(ord, "\u066c\u060c'\u2019\u00a0\u2009\u202f"), ","),
    0x66B: ".",
    **dict.fromkeys((0x200E, 0x200F, 0x061C, 0x2066, 0x2067, 0x2068, 0x2069)),
}
"""Digits and separators of Arabic and other scripts → ASCII; marks of direction are left out."""
_USUAL = re.compile(r"([0-9]{1,15})(?:\.([0-9]{0,2}))?")
_GROUPED = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3})?(?:\.[0-9]*)?")
_EUROPEAN = re.compile(r"[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),[0-9]{1,2}")
_NUMBERS = frozenset({int, float, SentNumber})
_LONGEST = 60
_MOST_DIGITS = 30
_USUAL_DECIMALS = 2
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip
"""Decimals of currencies with another number than two (ISO 4217)."""


def _exact(value: Value) -> Decimal | None:
    """Return the amount that a number or text means, None if it is not one."""
    if type(value) is int:
        return Decimal(value)
    if is_number(value):
        text = number_text(value)  # type: ignore[arg-type]
        return Decimal(text) if "Infinity" not in text else None
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip().translate(_SIGNS).translate(_DIGITS)
    if text.endswith("-"):
        # Written from right to left.
        text = f"-{text[:-1]}"
    if _GROUPED.fullmatch(text) and any(character.isdigit() for character in text):
        return Decimal(text.replace(",", ""))
    if _EUROPEAN.fullmatch(text):
        return Decimal(text.replace(".", "").replace(",", "."))
    return None


def _amount(value: Value) -> Value:
    found = _exact(value)
    if found is None:
        raise EvaluationError("is not an amount")
    # Decimal refuses to divide an amount of more digits than its precision.
    return number(float(found)) if abs(found) >= 2**53 or found % 1 else int(found)


@lru_cache(maxsize=64)
def _places(currency: str) -> int:
    return _DECIMALS.get(currency[:_LONGEST].strip().upper(), _USUAL_DECIMALS)


def _written(value: Value) -> str:
    """Return a text unchanged, a number as it was sent, else nothing."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if isinstance(value, SentNumber):
        return value.text
    return repr(value) if kind in _NUMBERS else ""


def _money(value: Value, currency: Value = "") -> Value:
    places = _places(currency) if isinstance(currency, str) else _USUAL_DECIMALS
    usual = _USUAL.fullmatch(_written(value))
    if usual is not None:
        whole, part = usual.groups("")
        if len(part) <= places:
            # Most amounts need no rounding, which would double the time.
            return f"{int(whole):,}.{part:0<{places}}" if places else f"{int(whole):,}"
    found = _exact(value)
    if found is None or (found and found.adjusted() >= _MOST_DIGITS):
        return stringify(value)
    with localcontext() as context:
        context.prec = _MOST_DIGITS + places + 1
        rounded = found.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return ("\u2212" if rounded < 0 else "") + f"{abs(rounded):,}"


FUNCTIONS: dict[str, Callable[..., Value]] = {"amount": _amount, "money": _money}
