"""Read the audit trail for the console: bounded and read-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import JsonValue

from notifier.store.database import Connect, load_queries
from notifier.store.rows import AttemptRow, DeadLetterActionRow, EscalationRow, NotificationRow

_QUERIES = load_queries(__package__, "console.sql")
_MOST_UNACKNOWLEDGED = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of notifications; None matches any."""

    channel: str | None = None
    event_type: str | None = None
    priority: str | None = None
    status: str | None = None
    since: datetime | None = None
    before: tuple[datetime, str] | None = None
    """Time and id of the last one of the page before."""


@dataclass(frozen=True, slots=True)
class WholeNotification:
    """One notification with all that is known of it."""

    notification: NotificationRow
    attempts: list[AttemptRow]
    siblings: list[NotificationRow]
    """The same event in other channels."""
    steps: list[EscalationRow]


@dataclass(frozen=True, slots=True)
class SentCard:
    """A card as it was sent, with its signed links."""

    card: JsonValue
    lang: str


@dataclass(frozen=True, slots=True)
class _Sent:
    channel: str
    count: int


@dataclass(frozen=True, slots=True)
class UnacknowledgedEvent:
    """A critical event that at least one channel has not acknowledged."""

    stream: str
    event_id: str
    waiting_in: list[str]
    """Channels whose notification is not acknowledged, in the order in which they got it; one may be there twice."""
    undelivered: bool
    """A card of it could not be delivered."""
    notification_id: str
    event_type: str
    correlation_id: str
    stakeholders: list[str]
    since: datetime
    summary: str | None
    acknowledged_by: str | None
    """The person who acknowledged it in another channel."""
    acknowledged_at: datetime | None
    acknowledged_in: str | None
    step_numbers: list[int]
    step_channels: list[str]
    step_times: list[datetime]

    @property
    def channels(self) -> tuple[str, ...]:
        """Return each channel that has not acknowledged it once."""
        return tuple(dict.fromkeys(self.waiting_in))

    @property
    def steps(self) -> tuple[tuple[int, str, datetime], ...]:
        """Return number, channel and time of each escalation so far."""
        return tuple(zip(self.step_numbers, self.step_channels, self.step_times, strict=True))


class ConsoleRepository:
    """Safe to use from many tasks; every method raises StoreError, in time."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def notifications(self, wanted: Wanted, *, limit: int) -> list[NotificationRow]:
        """Return the wanted notifications, newest first."""
        before, before_id = wanted.before or (None, None)
        places = {"before": before, "before_id": before_id, "limit": limit}
        values = asdict(wanted) | places
        async with self._connect() as connection:
            return await connection.fetch(NotificationRow, _QUERIES["notifications"], values)

    async def notification(self, notification_id: str) -> WholeNotification | None:
        """Return one notification; None: it is not recorded."""
        key = {"id": notification_id}
        async with self._connect() as connection:
            row = await connection.fetch_one(NotificationRow, _QUERIES["notification"], key)
            if row is None:
                return None
            of_event = key | {"stream": row.stream, "event_id": row.event_id}
            return WholeNotification(
                row,
                await connection.fetch(AttemptRow, _QUERIES["attempts"], key),
                await connection.fetch(NotificationRow, _QUERIES["siblings"], of_event),
                await connection.fetch(EscalationRow, _QUERIES["steps"], of_event),
            )

    async def card(self, notification_id: str) -> SentCard | None:
        """Return the card as it was sent; None: it was not kept."""
        async with self._connect() as connection:
            return await connection.fetch_one(
                SentCard, _QUERIES["card"], {"id": notification_id}
            )

    async def unacknowledged(self) -> list[UnacknowledgedEvent]:
        """Return critical events that some channel has not acknowledged.

        The newest come first, of the latest rows only.
        """
        values = {"limit": _MOST_UNACKNOWLEDGED}
        async with self._connect() as connection:
            return await connection.fetch(
                UnacknowledgedEvent, _QUERIES["unacknowledged"], values
            )

    async def sent_lately(self) -> Mapping[str, int]:
        """Return how many notifications each channel took within the last minute."""
        async with self._connect() as connection:
            found = await connection.fetch(_Sent, _QUERIES["sent_lately"])
        return {each.channel: each.count for each in found}

    async def dead_letter_actions(
        self, stream: str, letter_id: str, fields: Mapping[str, str]
    ) -> list[DeadLetterActionRow]:
        """Return the actions on a notification's dead letters, newest first."""
        values = {
            "stream": stream, "letter_id": letter_id, "correlation_id": fields.get("correlation_id") or None,
            "notification_id": fields.get("notification_id") or None,
        }  # fmt: skip
        async with self._connect() as connection:
            return await connection.fetch(
                DeadLetterActionRow, _QUERIES["dead_letter_actions"], values
            )
