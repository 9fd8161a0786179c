"""Numbers as people read them."""

from __future__ import annotations

import math

NOTHING = "–"


def percent(share: float | None, *, floor: bool = False) -> str:
    """Write a share of 1; with `floor` never rounded up, so that 99.996 % is not shown as all."""
    if share is None:
        return NOTHING
    value = share * 100
    shown = math.floor(value * 100 + 1e-9) / 100 if floor else round(value, 2)
    return f"{shown:.2f}".rstrip("0").rstrip(".") + " %"


def seconds(value: float | None) -> str:
    """Write a length of time in its two largest units: "830 ms", "1.45 s", "4 min 10 s", "2 h 5 min", "3 d 4 h"."""
    if value is None:
        return NOTHING
    if round(value * 1000) < 1000:
        return f"{value * 1000:.0f} ms"
    if round(value, 2) < 60:
        return f"{value:.2f}".rstrip("0").rstrip(".") + " s"
    whole = round(value)
    for unit, name, part, part_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"
