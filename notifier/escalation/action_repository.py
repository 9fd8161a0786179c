"""What an action page shows: the recorded facts of a notification."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from notifier.events.action import Matter
from notifier.events.notification import event_key, notification_id
from notifier.store.database import connected
from notifier.store.errors import store_error
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "repository.sql")
_MOST_CONNECTIONS = 4
"""However many people look at once, Postgres has connections left for the stages."""


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """What an action page shows; patient data are masked."""

    id: str
    event_id: str
    correlation_id: str
    event_type: str
    priority: str
    channel: str
    sent_at: datetime
    lang: str
    acknowledged_by: str | None
    """Who acknowledged the event, or had the workers do something about it, in whichever channel."""
    acknowledged_at: datetime | None
    action_taken: str | None
    summary: str | None
    """The card in one sentence; None when the card was not kept."""
    subject: Mapping[str, JsonValue]
    stream: str = ""
    channels: Sequence[str] = ()
    """Who had the event's card from the beginning."""
    is_escalation: bool = False
    """The notification tells a further channel of the event that all other facts are of."""
    escalation_ids: Sequence[str] = ()
    acknowledged_in: str | None = None
    """The channel of the card that was acted on."""
    escalated_by: str | None = None
    """Who escalated it by hand last."""
    escalated_at: datetime | None = None
    escalated_to: str | None = None

    @property
    def matter(self) -> Matter:
        """Return what an action on it is about."""
        others = [notification_id(self.stream, self.event_id, name) for name in self.channels]
        return Matter(
            self.id,
            event_key(self.stream, self.event_id),
            (*others, *self.escalation_ids),
            self.is_escalation,
        )


class ActionRepository:
    """A connection per request: people click some times an hour."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def facts(self, notification_id: str) -> NotificationFacts | None:
        """Return the facts, None when the notification is not recorded (yet). Raises StoreError, in time."""
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._slots,
                connected(
                    self._url,
                    name="notifier pages",
                    connect_seconds=self._timeout_seconds,
                    statement_seconds=self._timeout_seconds,
                ) as connection,
            ):
                cursor = await connection.execute(_QUERIES["facts"], {"id": notification_id})
                row = await cursor.fetchone()
        except TimeoutError as exc:
            raise store_error(self._url, exc) from None
        return None if row is None else NotificationFacts(*row)
