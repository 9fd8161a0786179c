"""The report as one HTML file, without scripts and network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from notifier.cards.html.pages import content_policy, own_file, page_templates, source_hash
from notifier.ops.report import success
from notifier.ops.report.figures import Figures, Slot, seconds, step_label
from notifier.ops.report.success import success_metrics
from notifier.ops.report.tables import sections_of, trend_of

_STYLE = own_file(__package__, "report.css")
_TEMPLATE = page_templates(__package__).get_template("report.html")
_HEIGHT = 100.0
_LEAST_VISIBLE = 2.0
"""One dead letter among thousands must be visible."""


def report_page(figures: Figures) -> str:
    """Return the page; the same figures give the same page."""
    metrics = success_metrics(figures)
    return _TEMPLATE.render(
        style=_STYLE,
        policy=content_policy(style_src=source_hash(_STYLE)),
        figures=figures,
        zone=ZoneInfo(figures.period.time_zone),
        metrics=metrics,
        judged=sum(metric.met is not None for metric in metrics),
        met=sum(metric.met is True for metric in metrics),
        charts=charts_of(figures) if figures.all.total else (),
        trend=trend_of(figures),
        sections=sections_of(figures),
        height=_HEIGHT,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of time, from zero to `height`."""

    place: int
    height: float
    failed: float
    """The upper part, in another colour."""
    text: str
    """Shown at the pointer."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; the table beside it has the same figures."""

    title: str
    kind: str
    """columns, or levels without gaps."""
    steps: int
    bars: tuple[Bar, ...]
    """Steps without a value are left out."""
    most: str
    """The end of the axis."""
    times: tuple[str, ...]
    """Labels of the first, middle and last step."""
    target: str = ""
    target_height: float | None = None
    """None: the target is above the axis."""


def charts_of(figures: Figures) -> tuple[Chart, ...]:
    """Return the charts: endings, latency and acknowledgement times."""
    slots, step = figures.trend, figures.period.slot
    zone = ZoneInfo(figures.period.time_zone)
    labels = [step_label(slot.start, step, zone) for slot in slots]
    most = round_up([slot.total for slot in slots])
    ended = tuple(
        Bar(
            place,
            _height(slot.total, most),
            _failed_height(slot, most),
            f"{label}: {slot.delivered:,} delivered, {slot.dead_lettered:,} dead letters",
        )
        for place, (slot, label) in enumerate(zip(slots, labels, strict=True))
        if slot.total
    )
    times = _ends(labels)
    return (
        Chart(f"Notifications per {step}", "columns", len(slots), ended, f"{most:,.0f}", times),
        _levels(
            f"P95 webhook latency per {step}", labels, [slot.latency_p95_seconds for slot in slots],
            success.LATENCY_P95_SECONDS, "target: below 2 s", round_up,
        ),
        _levels(
            f"Average acknowledgement of critical per {step}", labels,
            [slot.critical_acknowledgement_seconds for slot in slots],
            success.ACKNOWLEDGEMENT_SECONDS, "target: below 5 min", _round_up_minutes,
        ),
    )  # fmt: skip


def _levels(
    title: str,
    labels: Sequence[str],
    values: Sequence[float | None],
    target: float,
    target_text: str,
    axis: Callable[[Sequence[float]], float],
) -> Chart:
    most = axis([*(value for value in values if value is not None), target])
    bars = tuple(
        Bar(place, _height(value, most), 0.0, f"{label}: {seconds(value)}")
        for place, (label, value) in enumerate(zip(labels, values, strict=True))
        if value is not None
    )
    return Chart(
        title, "levels", len(labels), bars, seconds(most), _ends(labels), target_text, _height(target, most)
    )  # fmt: skip


def round_up(values: Sequence[float]) -> float:
    """Return a round number, not below any value, such as 25, 50 or 100."""
    highest = max(values, default=0.0)
    if highest <= 0:
        return 1.0
    power = 1e-6
    while power * 10 < highest:
        power *= 10
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= highest)


def _round_up_minutes(values: Sequence[float]) -> float:
    return 60 * round_up([value / 60 for value in values])


def _ends(labels: Sequence[str]) -> tuple[str, ...]:
    if len(labels) < 3:
        return tuple(labels)
    return labels[0], labels[len(labels) // 2], labels[-1]


def _height(value: float, most: float) -> float:
    return min(_HEIGHT, _HEIGHT * value / most)


def _failed_height(slot: Slot, most: float) -> float:
    if not slot.dead_lettered:
        return 0.0
    failed = max(_LEAST_VISIBLE, _height(slot.dead_lettered, most))
    return min(failed, _height(slot.total, most))
