"""Charts as inline SVG: drawings stretch with the page, words around them are HTML and stay readable; a table beside each says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

HEIGHT = 100.0
_GAP = 0.18


@dataclass(frozen=True, slots=True)
class Mark:
    """One step along a chart's time axis."""

    label: str
    value: float | None
    """None: there is nothing to draw."""
    part: float = 0.0
    """The share of `value` that is drawn as failed, in the same unit."""
    told: str = ""
    """What a pointer is told."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The vertical axis: nought at the bottom."""

    most: float
    words: str
    """`most` as people read it."""
    target: float | None = None
    target_words: str = ""


def columns(title: str, marks: Sequence[Mark], axis: Axis) -> str:
    """Draw one column per mark, its failed part on top in another colour."""
    drawn = []
    for place, mark in enumerate(marks):
        if not mark.value:
            continue
        height = _height(mark.value, axis)
        failed = min(height, _least_visible(_height(mark.part, axis), mark.part))
        x, width = place + _GAP / 2, 1 - _GAP
        drawn.append(
            f"<g><title>{escape(mark.told)}</title>"
            f'<rect class="good" x="{x:.3f}" y="{HEIGHT - height:.3f}" width="{width:.3f}" height="{height - failed:.3f}"/>'
            + (
                f'<rect class="bad" x="{x:.3f}" y="{HEIGHT - failed:.3f}" width="{width:.3f}" height="{failed:.3f}"/>'
                if failed
                else ""
            )
            + "</g>"
        )
    return _figure(title, marks, axis, "".join(drawn))


def steps(title: str, marks: Sequence[Mark], axis: Axis) -> str:
    """Draw one level per mark, and nothing where there is no value."""
    drawn = "".join(
        f'<g><title>{escape(mark.told)}</title><rect class="level" x="{place:.3f}" y="{HEIGHT - _height(mark.value, axis):.3f}" width="1" '
        f'height="{_height(mark.value, axis):.3f}"/><path class="line" d="M{place} {HEIGHT - _height(mark.value, axis):.3f}h1"/></g>'
        for place, mark in enumerate(marks)
        if mark.value is not None
    )
    return _figure(title, marks, axis, drawn)


def bar(share: float, *, bad: bool = False) -> str:
    """Draw a share of 1 as a bar, for a cell beside the number that it shows."""
    width = max(0.0, min(1.0, share)) * 100
    kind = "bad" if bad else "good"
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="ground" width="100" height="10"/><rect class="{kind}" width="{width:.2f}" height="10"/></svg>'
    )


def nice_most(values: Sequence[float]) -> float:
    """Return a round number that no value exceeds, 1 for no values: 1, 2, 2.5 or 5 times a power of ten."""
    highest = max(values, default=0.0)
    if highest <= 0:
        return 1.0
    power = 1e-6
    while power * 10 < highest:
        power *= 10
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= highest)


def _figure(title: str, marks: Sequence[Mark], axis: Axis, drawn: str) -> str:
    target = ""
    if axis.target is not None and axis.target <= axis.most:
        y = HEIGHT - _height(axis.target, axis)
        target = f'<path class="target" d="M0 {y:.3f}H{len(marks)}"/>'
    middle = marks[len(marks) // 2].label if len(marks) > 2 else ""
    ends = [marks[0].label, middle, marks[-1].label] if len(marks) > 1 else [marks[0].label]
    words = f'<p class="key"><span class="dash"></span>{escape(axis.target_words)}</p>' if target else ""  # fmt: skip
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><div class="plot">'
        f'<div class="scale" aria-hidden="true"><span>{escape(axis.words)}</span><span>0</span></div>'
        f'<svg viewBox="0 0 {len(marks)} {HEIGHT:g}" preserveAspectRatio="none" role="img" aria-label="{escape(title)}; the table of the trend has its figures">'
        f'<path class="grid" d="M0 0H{len(marks)}M0 {HEIGHT / 2:g}H{len(marks)}M0 {HEIGHT:g}H{len(marks)}"/>{drawn}{target}</svg>'
        f'<div class="times" aria-hidden="true">{"".join(f"<span>{escape(end)}</span>" for end in ends if end)}</div>'
        f"</div>{words}</figure>"
    )


def _height(value: float | None, axis: Axis) -> float:
    return min(HEIGHT, HEIGHT * (value or 0.0) / axis.most)


def _least_visible(height: float, value: float) -> float:
    """Return at least some height for what is not nought: one dead letter among thousands is to be seen."""
    return max(2.0, height) if value else 0.0
