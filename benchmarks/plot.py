"""A bar chart as SVG; pure. Two rows of bars need no plotting library."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_BAR, _GAP, _LEFT, _WIDTH, _RIGHT = 22, 10, 150, 420, 90
_OWN, _OTHER = "#4f52b2", "#9a9aa8"


def bars(title: str, values: Mapping[str, float], *, unit: str, own: str) -> str:
    """Return one bar chart; the bar `own` is highlighted."""
    longest = max(values.values(), default=1) or 1
    height = 34 + len(values) * (_BAR + _GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + _RIGHT}" height="{height}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="8" y="20" font-weight="bold" fill="#222">{escape(title)}</text>',
    ]
    for row, (name, value) in enumerate(values.items()):
        y = 34 + row * (_BAR + _GAP)
        width = max(1, round(value / longest * _WIDTH))
        color = _OWN if name == own else _OTHER
        middle = y + _BAR - 6
        lines += [
            f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end" fill="#222">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_BAR}" fill="{color}"/>',
            f'<text x="{_LEFT + width + 6}" y="{middle}" fill="#222">{value:.0f} {escape(unit)}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
