"""The tables of a report, for the page and the terminal alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from notifier.ops.report.figures import (
    WITHIN_SECONDS,
    Acknowledged,
    Count,
    Figures,
    percent,
    seconds,
    step_label,
)
from notifier.ops.report.success import LATENCY_P95_SECONDS


@dataclass(frozen=True, slots=True)
class Cell:
    """A number in a table."""

    text: str
    share: float | None = None
    """The length of a bar beside it, of 1."""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A name, and its numbers."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `head` begins with the column of names."""

    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    title: str
    text: str
    tables: tuple[Table, ...]


def sections_of(figures: Figures) -> tuple[Section, ...]:
    """Return the parts of a report, without its success metrics and trend."""
    return _sent(figures), _dead_letters(figures), _latency(figures), _acknowledged(figures)


def trend_of(figures: Figures) -> Table:
    """Return the trend as a table."""
    step, zone = figures.period.slot, ZoneInfo(figures.period.time_zone)
    head = (step.capitalize(), "Ended", "Delivered", "Dead letters", "P95 latency", "Critical acknowledged after")  # fmt: skip
    rows = tuple(
        _row(
            step_label(slot.start, step, zone), slot.total, slot.delivered, slot.dead_lettered,
            seconds(slot.latency_p95_seconds), seconds(slot.critical_acknowledgement_seconds),
        )
        for slot in figures.trend
    )  # fmt: skip
    return Table(f"Trend per {step} ({zone.key})", head, rows)


def _sent(figures: Figures) -> Section:
    every = figures.all
    text = (
        f"{every.total:,} notifications ended: {every.delivered:,} delivered, {every.dead_lettered:,} dead letters. "
        f"{every.retried:,} took more than one post."
    )
    tables = (
        _counts("channel", figures.by_channel),
        _counts("priority", figures.by_priority),
        _counts("event type", figures.by_event_type),
    )
    return Section("What was sent", text, tuple(each for each in tables if each.rows))


def _counts(name: str, counts: Sequence[Count]) -> Table:
    most = max((count.total for count in counts), default=1)
    rows = tuple(
        _row(
            count.name, Cell(f"{count.total:,}", count.total / most), count.dead_lettered, count.retried,
            percent(count.delivery_rate, floor=True),
        )
        for count in counts
    )  # fmt: skip
    head = (name.capitalize(), "Ended", "Dead letters", "Retried", "Delivered")
    return Table(f"By {name}", head, rows)


def _dead_letters(figures: Figures) -> Section:
    total = max(1, sum(number for _, number in figures.dead_letters))
    reasons = tuple(
        _row(reason, Cell(f"{number:,}", number / total, bad=True))
        for reason, number in figures.dead_letters
    )
    handled = tuple(
        _row(f"{action}ed", number) for action, number in figures.dead_letter_actions
    )
    tables = (
        Table("Dead letters by reason", ("Reason", "Notifications"), reasons),
        Table("Handled by people", ("Action", "Dead letters"), handled),
    )
    found = tuple(table for table in tables if table.rows)
    return Section("Dead letters", "" if found else "None in this period.", found)


def _latency(figures: Figures) -> Section:
    if figures.latency is None:
        return Section("Webhook latency", "", ())
    rows = tuple(
        _row(
            each.name or "All channels", each.posts, seconds(each.p50_seconds),
            Cell(
                seconds(each.p95_seconds), each.p95_seconds / (2 * LATENCY_P95_SECONDS),
                bad=each.p95_seconds >= LATENCY_P95_SECONDS,
            ),
            seconds(each.p99_seconds),
        )
        for each in (*figures.latency_by_channel, figures.latency)
    )  # fmt: skip
    title = "Latency by channel; half a bar is the target of 2 s"
    head = ("Channel", "Posts", "P50", "P95", "P99")
    return Section("Webhook latency", "", (Table(title, head, rows),))


def _acknowledged(figures: Figures) -> Section:
    found = figures.acknowledged
    by_priority = tuple(
        _row(
            each.priority, each.taken, seconds(each.average_seconds), seconds(each.median_seconds),
            seconds(each.p90_seconds),
        )
        for each in found
    )  # fmt: skip
    actions = (
        *figures.actions,
        *((f"escalation: {cause}", number) for cause, number in figures.escalations),
    )
    tables = (
        Table(
            "Acknowledged by priority",
            ("Priority", "Acknowledged", "Average", "Median", "P90"),
            by_priority,
        ),
        *(_distribution(each) for each in found if each.priority in ("CRITICAL", "HIGH")),
        Table(
            "Actions and escalations",
            ("Action", "Number"),
            tuple(_row(name.replace("_", " "), number) for name, number in actions),
        ),
    )
    text = "" if found else "Nobody acknowledged anything in this period."
    return Section("Acknowledgement", text, tuple(table for table in tables if table.rows))


def _distribution(each: Acknowledged) -> Table:
    names = [f"up to {seconds(bound)}" for bound in WITHIN_SECONDS]
    names.append(f"more than {seconds(WITHIN_SECONDS[-1])}")
    sums = [0, *each.within, each.taken]
    rows = tuple(
        _row(
            name, Cell(f"{after - before:,}", (after - before) / each.taken),
            percent(after / each.taken),
        )
        for name, before, after in zip(names, sums, sums[1:], strict=False)
    )  # fmt: skip
    title = f"Acknowledgement times of {each.priority} notifications"
    return Table(title, ("Time", "Acknowledged", "By then"), rows)


def _row(name: str, *cells: Cell | int | str) -> Row:
    return Row(
        name,
        tuple(
            cell
            if isinstance(cell, Cell)
            else Cell(f"{cell:,}" if isinstance(cell, int) else cell)
            for cell in cells
        ),
    )
