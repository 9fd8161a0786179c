"""Write a time span for people."""

from __future__ import annotations


def written(seconds: float) -> str:
    """Return it in the largest unit of which there are at least two: 95 s, 4 min, 25 h, 3 days."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
