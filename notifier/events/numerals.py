"""Numbers of JSON with the digits that they were sent with."""

from __future__ import annotations

from math import isfinite


class SentNumber(float):
    """A number with a point or exponent, as it was written: 1250.50, 1E3."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Read what JSON takes for a number.

        Raises:
            OverflowError: A double would make an infinity of it, which JSON cannot hold.
        """
        if self - self:
            raise OverflowError
        self.text = text


def sent_number(text: str) -> SentNumber | str:
    """Read a number with a point or exponent; text if a double is too small."""
    return SentNumber(text) if isfinite(float(text)) else text
