"""What the audit trail says of a period; counts only, so that nothing of a patient can be in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

TAKEN_WITHIN_SECONDS = (60, 300, 900, 1800, 3600, 14_400)
"""Bounds of the distribution of acknowledgement times."""

_HOURLY_UP_TO = timedelta(hours=48)
_DAILY_UP_TO = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` (inclusive) to `until` (exclusive)."""

    since: datetime
    until: datetime
    time_zone: str
    """Whose days the trend shows."""

    @property
    def slot(self) -> str:
        """Return how long one step of the trend is: "hour" for up to two days, "day" for up to a quarter, else "week"."""
        length = self.until - self.since
        if length <= _HOURLY_UP_TO:
            return "hour"
        return "day" if length <= _DAILY_UP_TO else "week"

    def starts(self) -> list[datetime]:
        """Return when each step begins, as Postgres truncates times in the time zone; weeks begin on Monday."""
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
    """How notifications of one kind ended."""

    name: str
    total: int
    delivered: int
    retried: int
    """Those that took more than one post."""

    @property
    def dead_lettered(self) -> int:
        """Return how many could not be delivered."""
        return self.total - self.delivered

    @property
    def delivery_rate(self) -> float | None:
        """Return the share that was delivered, from 0 to 1; None when none ended."""
        return self.delivered / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long posts took, in seconds."""

    name: str
    posts: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """How soon notifications of one priority were taken, in seconds."""

    priority: str
    taken: int
    average: float
    median: float
    p90: float
    within: tuple[int, ...]
    """How many of `taken` within each of TAKEN_WITHIN_SECONDS."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One step of the trend."""

    start: datetime
    total: int = 0
    delivered: int = 0
    latency_p95: float | None = None
    critical_average: float | None = None
    """Average acknowledgement time of CRITICAL ones that ended in this step; None when none was taken."""


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """CRITICAL notifications that nobody has taken, when the report was made."""

    count: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a report shows."""

    period: Period
    made_at: datetime
    all: Count
    by_event_type: tuple[Count, ...]
    """Those with a route of their own, the most frequent first, and "(others)" for the rest."""
    by_channel: tuple[Count, ...]
    by_priority: tuple[Count, ...]
    dead_letters: tuple[tuple[str, int], ...]
    """Reason and number."""
    latency: Latency | None
    latency_by_channel: tuple[Latency, ...]
    acknowledged: tuple[Acknowledged, ...]
    """By priority, those of which any was taken."""
    unacknowledged: Unacknowledged
    actions: tuple[tuple[str, int], ...]
    escalations: tuple[tuple[str, int], ...]
    dead_letter_actions: tuple[tuple[str, int], ...]
    trend: tuple[Slot, ...]

    def acknowledged_of(self, priority: str) -> Acknowledged | None:
        """Return how soon one priority was taken; None when nothing of it was."""
        return next((each for each in self.acknowledged if each.priority == priority), None)
