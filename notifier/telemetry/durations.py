"""Durations as people read them."""

from __future__ import annotations

from itertools import pairwise

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float, *, precise: bool = False) -> str:
    """Write a duration in its two largest units: 3 d 4 h, 4 min 10 s, 5 s.

    With `precise` one below a minute shows fractions: 830 ms, 1.45 s.
    """
    if precise and round(seconds * 1000) < 1000:
        return f"{seconds * 1000:.0f} ms"
    if precise and round(seconds, 2) < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    left = max(0, round(seconds))
    for (size, unit), (next_size, next_unit) in pairwise(_UNITS):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{left} s"
