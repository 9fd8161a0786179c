"""A report's figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from notifier.ops.report.figures import Count, Figures, Period, Slot, Unacknowledged

END = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


PERIOD = Period(END - timedelta(days=2), END, "Asia/Riyadh")


def figures(**changes: object) -> Figures:
    empty = Figures(
        period=PERIOD, made_at=END, all=Count("", 0, 0, 0), by_event_type=(), by_channel=(), by_priority=(), dead_letters=(),
        latency=None, latency_by_channel=(), acknowledged=(), unacknowledged=Unacknowledged(0, None), actions=(), escalations=(),
        dead_letter_actions=(), trend=tuple(Slot(start) for start in PERIOD.starts()),
    )  # fmt: skip
    return replace(empty, **changes)  # type: ignore[arg-type]
