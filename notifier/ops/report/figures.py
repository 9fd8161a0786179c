"""The figures of a report: counts only, without patient data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifier.telemetry.clock import duration

WITHIN_SECONDS = (60, 300, 900, 1800, 3600, 14_400)
"""Bounds of the distribution of acknowledgement times."""

_HOURLY_UP_TO = timedelta(hours=48)
_DAILY_UP_TO = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` (inclusive) to `until` (exclusive)."""

    since: datetime
    until: datetime
    time_zone: str
    """The days of the trend are those of this time zone."""

    @property
    def slot(self) -> str:
        """Return the step of the trend: hour, day or week.

        It is an hour up to two days, and a day up to a quarter.
        """
        length = self.until - self.since
        if length <= _HOURLY_UP_TO:
            return "hour"
        return "day" if length <= _DAILY_UP_TO else "week"

    def starts(self) -> list[datetime]:
        """Return the start of each step, as Postgres truncates times.

        Weeks begin on Monday.
        """
        zone = ZoneInfo(self.time_zone)
        first = self.since.astimezone(zone).replace(minute=0, second=0, microsecond=0)
        if self.slot == "hour":
            begin = first.astimezone(UTC)
            hours = int((self.until - begin) / timedelta(hours=1)) + 1
            found = [begin + timedelta(hours=number) for number in range(hours)]
        else:
            days = 7 if self.slot == "week" else 1
            day = first.date() - timedelta(days=first.weekday() if days == 7 else 0)
            steps = int((self.until - self.since).days / days) + 3
            dates = [day + timedelta(days=days * number) for number in range(steps)]
            found = [datetime.combine(each, time(), zone).astimezone(UTC) for each in dates]
        return [start for start in found if start < self.until]


@dataclass(frozen=True, slots=True)
class Count:
    """The endings of one kind of notification."""

    name: str
    total: int
    delivered: int
    retried: int
    """Those with more than one post."""

    @property
    def dead_lettered(self) -> int:
        """Return the number of dead letters."""
        return self.total - self.delivered

    @property
    def delivery_rate(self) -> float | None:
        """Return the delivered share, from 0 to 1; None if none ended."""
        return self.delivered / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Latency:
    """The durations of posts."""

    name: str
    posts: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The acknowledgement times of one priority."""

    priority: str
    taken: int
    """The number of acknowledged notifications."""
    average_seconds: float
    median_seconds: float
    p90_seconds: float
    within: tuple[int, ...]
    """The number within each of WITHIN_SECONDS."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One step of the trend."""

    start: datetime
    total: int = 0
    delivered: int = 0
    latency_p95_seconds: float | None = None
    critical_acknowledgement_seconds: float | None = None
    """The average of CRITICAL notifications that ended in this step; None if none was acknowledged."""

    @property
    def dead_lettered(self) -> int:
        """Return the number of dead letters."""
        return self.total - self.delivered


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """CRITICAL notifications without acknowledgement, as of now."""

    count: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a report."""

    period: Period
    made_at: datetime
    all: Count
    by_event_type: tuple[Count, ...]
    """Types with a route of their own, the most frequent first, and "(others)" for the rest."""
    by_channel: tuple[Count, ...]
    by_priority: tuple[Count, ...]
    dead_letters: tuple[tuple[str, int], ...]
    """Reason and number."""
    latency: Latency | None
    latency_by_channel: tuple[Latency, ...]
    acknowledged: tuple[Acknowledged, ...]
    """Priorities with at least one acknowledgement."""
    unacknowledged: Unacknowledged
    actions: tuple[tuple[str, int], ...]
    escalations: tuple[tuple[str, int], ...]
    dead_letter_actions: tuple[tuple[str, int], ...]
    trend: tuple[Slot, ...]

    def acknowledged_of(self, priority: str) -> Acknowledged | None:
        """Return the acknowledgement times of a priority; None if it has none."""
        return next((each for each in self.acknowledged if each.priority == priority), None)


def percent(share: float | None, *, floor: bool = False) -> str:
    """Write a share of 1 as a percentage; with `floor` never rounded up.

    So 99.996 % is not shown as 100 %.
    """
    if share is None:
        return "–"
    value = share * 100
    shown = math.floor(value * 100 + 1e-9) / 100 if floor else round(value, 2)
    return f"{shown:.2f}".rstrip("0").rstrip(".") + " %"


def seconds(value: float | None) -> str:
    """Write a duration, precisely if it is short; a dash for None."""
    return "–" if value is None else duration(value, precise=True)


def step_label(start: datetime, step: str, zone: ZoneInfo) -> str:
    """Write the start of a step of the trend."""
    local = start.astimezone(zone)
    return f"{local:%d %b %H:%M}" if step == "hour" else f"{local:%d %b}"
