"""Numbers as people read them."""

from __future__ import annotations

import math

from notifier.telemetry.durations import duration

NOTHING = "–"


def percent(share: float | None, *, floor: bool = False) -> str:
    """Write a share of 1; with `floor` never rounded up, so that 99.996 % is not shown as all."""
    if share is None:
        return NOTHING
    value = share * 100
    shown = math.floor(value * 100 + 1e-9) / 100 if floor else round(value, 2)
    return f"{shown:.2f}".rstrip("0").rstrip(".") + " %"


def seconds(value: float | None) -> str:
    """Write a duration, precisely when it is short; a dash for None."""
    return NOTHING if value is None else duration(value, precise=True)
