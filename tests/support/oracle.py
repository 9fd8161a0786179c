"""Comparing with Microsoft's engine."""

from __future__ import annotations

from typing import Any


def same(left: Any, right: Any) -> bool:
    """Compare as JSON does: true is not 1, 1.0 is 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, int) and isinstance(right, int | float) and abs(left) > 2**53:
        # Here a number from the data has all its digits, there it is a double.
        return float(left) == float(right)
    return bool(left == right)
