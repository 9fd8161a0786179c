"""Numbers of JSON with the digits that they were sent with."""

from __future__ import annotations

from math import isfinite


class SentNumber(float):
    """A number, and how it was written where a program would write it in another way: 1250.50, 5.0, 1E3."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> SentNumber:
        """Read what JSON takes for a number."""
        made = float.__new__(cls, text)
        made.text = text
        return made


def sent_number(text: str) -> float | str:
    """Read a number with a point or an exponent; text where a double would make an infinity of it, which JSON cannot hold."""
    number = float(text)
    if repr(number) == text and text[-2:] != ".0":
        return number
    return SentNumber(text) if isfinite(number) else text
