"""Read filters and page positions from addresses of the console."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from notifier.dead_letters.listing import Filter, Place
from notifier.dead_letters.model import DeadLetter
from notifier.web.console.labels import PRIORITIES, REASONS, STATUSES
from notifier.web.console.repository import Wanted

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_MAX_TEXT = 200

PERIODS: Mapping[str, tuple[str, timedelta | None]] = {
    "hour": ("last hour", timedelta(hours=1)),
    "day": ("last 24 hours", timedelta(days=1)),
    "week": ("last 7 days", timedelta(days=7)),
    "all": ("any time", None),
}


class QueryError(ValueError):
    """A value in the address is invalid; the text names the field and the fix."""


def _text(query: Mapping[str, str], name: str) -> str | None:
    return query.get(name, "").strip()[:_MAX_TEXT].replace("\x00", "") or None


def _choice(
    query: Mapping[str, str], name: str, label: str, choices: Iterable[str]
) -> str | None:
    value = _text(query, name)
    if value is not None and value not in choices:
        raise QueryError(f"{label}: choose one from the list.")
    return value


def _time(query: Mapping[str, str], name: str, label: str) -> datetime | None:
    value = _text(query, name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    # An entry's id counts from 1970, in UTC.
    if time is None or time.tzinfo is not None or time.year < 1970:
        raise QueryError(f"{label}: give a date and time in UTC, such as 2026-11-24T10:00.")
    return time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DeadLetterRef(Place):
    """The id and stream of a dead letter."""

    @classmethod
    def of(cls, found: DeadLetter | Place) -> DeadLetterRef:
        """Return the reference to a dead letter."""
        return cls(found.id, found.stream)

    @property
    def text(self) -> str:
        """Return it as forms hold it."""
        return f"{self.id} {self.stream}"

    @property
    def age(self) -> tuple[int, int, str]:
        """Return the key that sorts the oldest first."""
        ms, _, number = self.id.partition("-")
        return int(ms), int(number), self.stream

    @property
    def address(self) -> str:
        """Return the query of its page."""
        return urlencode({"id": self.id, "stream": self.stream})


def dead_letter_ref(text: str, streams: Iterable[str]) -> DeadLetterRef:
    """Read `DeadLetterRef.text`; raises QueryError."""
    entry_id, _, stream = text.partition(" ")
    if not _ENTRY_ID.fullmatch(entry_id) or stream not in streams:
        raise QueryError("Dead letter: this address is unknown; go back to the list.")
    return DeadLetterRef(entry_id, stream)


@dataclass(frozen=True, slots=True)
class DeadLetterQuery:
    """The filter of the dead letters."""

    filter: Filter
    after: Place | None

    @classmethod
    def read(cls, query: Mapping[str, str], streams: Iterable[str]) -> DeadLetterQuery:
        """Read a query; raises QueryError."""
        since, until = _time(query, "since", "From"), _time(query, "until", "Until")
        if since is not None and until is not None and since >= until:
            raise QueryError("Until: give a time after From.")
        wanted = Filter(
            _choice(query, "reason", "Reason", REASONS),
            _text(query, "channel"),
            _text(query, "type"),
            since,
            until,
        )
        after = query.get("after")
        return cls(wanted, dead_letter_ref(after, streams) if after else None)


DEAD_LETTER_FIELDS = ("reason", "channel", "type", "since", "until")
NOTIFICATION_FIELDS = ("channel", "type", "priority", "status", "period")


def shown_of(query: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the filled fields."""
    return {name: value for name in names if (value := _text(query, name)) is not None}


@dataclass(frozen=True, slots=True)
class NotificationQuery:
    """The filter of the notifications."""

    wanted: Wanted
    period: str

    @classmethod
    def read(cls, query: Mapping[str, str], now: datetime) -> NotificationQuery:
        """Read a query; raises QueryError."""
        period = _choice(query, "period", "Time", PERIODS) or "day"
        span = PERIODS[period][1]
        wanted = Wanted(
            _text(query, "channel"),
            _text(query, "type"),
            _choice(query, "priority", "Priority", PRIORITIES),
            _choice(query, "status", "Status", STATUSES),
            None if span is None else now - span,
            _before(query.get("before", "")),
        )
        return cls(wanted, period)


def _before(text: str) -> tuple[datetime, str] | None:
    if not text:
        return None
    at, _, row_id = text.partition(" ")
    try:
        # Our own addresses always say the time zone.
        return datetime.fromisoformat(at).astimezone(UTC), str(uuid.UUID(row_id))
    except (ValueError, OverflowError):
        raise QueryError("Page: this address is unknown; begin at the first page.") from None
