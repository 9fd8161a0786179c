"""What Postgres knows of an event's way, found by any of its ids."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from notifier.config import DatabaseSettings
from notifier.store.database import connected
from notifier.store.errors import store_error
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "journeys.sql")
_STATEMENT_SECONDS = 5
_MOST_CONNECTIONS = 2
"""However many people search at once, Postgres has connections left for the stages."""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One row of teams_notifications; patient data are masked."""

    id: str
    stream: str
    entry_id: str
    event_id: str
    correlation_id: str
    event_type: str
    channel: str
    priority: str
    status: str
    status_code: int | None
    error: str | None
    sent_at: datetime
    retry_count: int
    host: str | None
    template: str | None
    title: str | None
    digest_id: str | None
    recorded_at: datetime
    card: JsonValue
    action: str | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    trace_id: str | None
    event_time: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Rows, newest first, and what belongs to them, as plain tuples in the order of journeys.sql."""

    rows: tuple[TraceRow, ...]
    attempts: tuple[tuple[Any, ...], ...]
    taken: tuple[tuple[Any, ...], ...]
    escalations: tuple[tuple[Any, ...], ...]
    revivals: tuple[tuple[Any, ...], ...]


class TraceRepository:
    """A read-only connection per search: people search some times an hour."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def find(
        self,
        text: str,
        *,
        uuid: str | None,
        event_ids: Sequence[str],
        streams: Sequence[str],
        limit: int,
        cards: bool,
    ) -> Recorded:
        """Return what is recorded under an id.

        Args:
            text: A correlation, claim or dead letter id.
            uuid: The same as a notification, digest or trace id, if it is one.
            event_ids: The same as an event id, and event ids that it stands for.
            streams: Event streams whose dead letters are meant.
            limit: Rows at most, newest first.
            cards: Whether to read the cards.

        Raises:
            StoreError: Postgres is away, its schema is older, or it takes too long.
        """
        values = {
            "text": text, "uuid": uuid, "event_ids": list(event_ids), "limit": limit, "cards": cards,
        }  # fmt: skip
        seconds = self._settings.connect_timeout_seconds + 4 * _STATEMENT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await self._read(values, streams)
        except TimeoutError as exc:
            raise store_error(self._settings.url, exc) from None

    async def _read(self, values: Mapping[str, Any], streams: Sequence[str]) -> Recorded:
        async with (
            self._slots,
            connected(
                self._settings.url,
                name="notifier trace",
                connect_seconds=self._settings.connect_timeout_seconds,
                statement_seconds=_STATEMENT_SECONDS,
            ) as connection,
        ):

            async def run(query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
                return await (await connection.execute(_QUERIES[query], parameters)).fetchall()

            rows = tuple(TraceRow(*row) for row in await run("rows", values))
            ids = {"ids": [row.id for row in rows]}
            events = list(dict.fromkeys((row.stream, row.event_id) for row in rows))
            of_events = {
                "streams": [stream for stream, _ in events],
                "event_ids": [event_id for _, event_id in events],
            }
            of_letters = {
                "text": values["text"],
                "streams": list(streams),
                "event_ids": [*values["event_ids"], *of_events["event_ids"]],
                "correlation_ids": [values["text"], *(row.correlation_id for row in rows)],
            }
            return Recorded(
                rows,
                tuple(await run("attempts", ids)),
                tuple(await run("taken", ids)),
                tuple(await run("escalations", {**ids, **of_events})),
                tuple(await run("revivals", of_letters)),
            )
