"""What the operations console reads from Postgres: bounded, read-only, and never for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from pydantic import JsonValue

from notifier.config import mask_url
from notifier.errors import StatementTimeoutError, StoreError
from notifier.store.database import connected
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "console.sql")
_MOST_CONNECTIONS = 3
"""However many people look at once, Postgres has connections left for the stages."""
_MOST_UNACKNOWLEDGED = 500

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which notifications are meant; what is None does not matter."""

    channel: str | None = None
    event_type: str | None = None
    priority: str | None = None
    status: str | None = None
    since: datetime | None = None
    before: tuple[datetime, str] | None = None
    """Time and id of the last one of the page before."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One notification as a list shows it; patient data are masked."""

    id: str
    event_type: str
    channel: str
    priority: str
    status: str
    sent_at: datetime
    correlation_id: str
    retry_count: int
    status_code: int | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None
    summary: str | None
    """The card in one sentence; None when it was not kept."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One post."""

    number: int
    started_at: datetime
    duration_seconds: float
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Sibling:
    """The same event in another channel."""

    id: str
    channel: str
    status: str
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """A channel that was told because nobody answered, or by hand."""

    number: int
    channel: str
    at: datetime
    cause: str
    who: str | None
    id: str


@dataclass(frozen=True, slots=True)
class RecordedWhole:
    """One notification with all that is known of it."""

    notification: Recorded
    stream: str
    event_id: str
    event_time: datetime | None
    lang: str | None
    webhook_host: str | None
    template: str | None
    error_message: str | None
    digest_id: str | None
    note: str | None
    via: str | None
    has_card: bool
    attempts: tuple[Attempt, ...]
    siblings: tuple[Sibling, ...]
    steps: tuple[EscalationStep, ...]


@dataclass(frozen=True, slots=True)
class UnacknowledgedEvent:
    """A critical event that at least one channel has not acknowledged."""

    stream: str
    event_id: str
    channels: tuple[str, ...]
    """Those that have not, in the order in which they were told."""
    undelivered: bool
    """A card of it could not be delivered."""
    notification_id: str
    event_type: str
    correlation_id: str
    stakeholders: tuple[str, ...]
    since: datetime
    summary: str | None
    taken_by: str | None
    """Who acknowledged it in another channel."""
    taken_at: datetime | None
    taken_in: str | None
    steps: tuple[tuple[int, str, datetime], ...]
    """Number, channel and time of each escalation so far."""


@dataclass(frozen=True, slots=True)
class DeadLetterAction:
    """What somebody did with a dead letter."""

    action: str
    who: str
    why: str | None
    at: datetime
    letter_id: str
    reason: str
    edited: bool


class ConsoleRepository:
    """A connection per page: people look some times an hour. Safe to use from many tasks; raises StoreError, in time."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def notifications(self, wanted: Wanted, *, limit: int) -> list[Recorded]:
        """Return the wanted notifications, newest first."""
        before, before_id = wanted.before or (None, None)
        values = {
            "channel": wanted.channel, "event_type": wanted.event_type, "priority": wanted.priority, "status": wanted.status,
            "since": wanted.since, "before": before, "before_id": before_id, "limit": limit,
        }  # fmt: skip
        async with self._connected() as connection:
            return [Recorded(*row) for row in await _all(connection, "notifications", values)]

    async def notification(self, notification_id: str) -> RecordedWhole | None:
        """Return one notification, None when it is not recorded."""
        key = {"id": notification_id}
        async with self._connected() as connection:
            rows = await _all(connection, "notification", key)
            if not rows:
                return None
            row = rows[0]
            of_event = key | {"stream": row[13], "event_id": row[14]}
            rest = (
                tuple(Attempt(*each) for each in await _all(connection, "attempts", key)),
                tuple(Sibling(*each) for each in await _all(connection, "siblings", of_event)),
                tuple(
                    EscalationStep(*each) for each in await _all(connection, "steps", of_event)
                ),
            )
            return RecordedWhole(*(Recorded(*row[:13]), *row[13:], *rest))

    async def card(self, notification_id: str) -> tuple[JsonValue, str] | None:
        """Return the card as it was sent (with its signed links) and its language, None when it was not kept."""
        async with self._connected() as connection:
            rows = await _all(connection, "card", {"id": notification_id})
        return (rows[0][0], rows[0][1]) if rows else None

    async def unacknowledged(self) -> list[UnacknowledgedEvent]:
        """Return the critical events that some channel has not acknowledged, newest first, of the latest rows only."""
        async with self._connected() as connection:
            rows = await _all(connection, "unacknowledged", {"limit": _MOST_UNACKNOWLEDGED})
        return [_unacknowledged(row) for row in rows]

    async def sent_lately(self) -> Mapping[str, int]:
        """Return how many notifications each channel took within the last minute."""
        async with self._connected() as connection:
            return {row[0]: row[1] for row in await _all(connection, "sent_lately", {})}

    async def letter_actions(
        self, stream: str, letter_id: str, fields: Mapping[str, str]
    ) -> list[DeadLetterAction]:
        """Return what was done with a dead letter and with earlier ones of the same notification, newest first."""
        values = {
            "stream": stream, "letter_id": letter_id, "correlation_id": fields.get("correlation_id") or None,
            "notification_id": fields.get("notification_id") or None,
        }  # fmt: skip
        async with self._connected() as connection:
            return [
                DeadLetterAction(*row)
                for row in await _all(connection, "letter_actions", values)
            ]

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._slots,
                connected(
                    self._url,
                    name="notifier console",
                    connect_seconds=self._timeout_seconds,
                    statement_seconds=self._timeout_seconds,
                ) as connection,
            ):
                yield connection
        except (StatementTimeoutError, TimeoutError):
            raise StoreError(
                f"Postgres at {mask_url(self._url)} took longer than {self._timeout_seconds:g} s; narrow the filter or try again"
            ) from None


async def _all(
    connection: psycopg.AsyncConnection[Row], query: str, values: Mapping[str, object]
) -> list[Row]:
    return await (await connection.execute(_QUERIES[query], values)).fetchall()


def _unacknowledged(row: Row) -> UnacknowledgedEvent:
    channels = tuple(dict.fromkeys(row[2]))
    steps = tuple(zip(row[13], row[14], row[15], strict=True))
    return UnacknowledgedEvent(
        *(*row[:2], channels, *row[3:7], tuple(row[7]), *row[8:13], steps)
    )
