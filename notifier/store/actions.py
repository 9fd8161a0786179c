"""What people did from a card: read a notification's facts, and take it once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from notifier.config import mask_url
from notifier.errors import StoreError
from notifier.store.queries import load_queries

_QUERIES = load_queries("actions.sql")


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """What an action page shows; none of it identifies a patient."""

    id: str
    event_id: str
    correlation_id: str
    event_type: str
    priority: str
    channel: str
    sent_at: datetime
    lang: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None


class PostgresActions:
    """A connection per request: people click some times an hour."""

    def __init__(self, url: str, *, connect_timeout_seconds: int) -> None:
        self._url = url
        self._connect_timeout = connect_timeout_seconds

    async def facts(self, notification_id: str) -> NotificationFacts | None:
        """Return the facts, None when the notification is not recorded (yet). Raises StoreError."""
        row = await self._fetch("facts", {"id": notification_id})
        return None if row is None else NotificationFacts(*row)

    async def take(self, notification_id: str, *, who: str, action: str, note: str) -> bool:
        """Record who took it with which action; False when somebody was first. Raises StoreError."""
        data = json.dumps({"note": note} if note else {})
        row = await self._fetch(
            "take", {"id": notification_id, "who": who, "action": action, "data": data}
        )
        return row is not None

    async def _fetch(self, query: str, parameters: dict[str, str]) -> tuple[Any, ...] | None:
        try:
            async with await psycopg.AsyncConnection.connect(
                self._url,
                connect_timeout=self._connect_timeout,
                options="-c statement_timeout=5000",
            ) as connection:
                cursor = await connection.execute(_QUERIES[query], parameters)
                return await cursor.fetchone()
        except psycopg.Error as exc:
            raise StoreError(
                f"Postgres at {mask_url(self._url)} failed: {type(exc).__name__}"
            ) from None
