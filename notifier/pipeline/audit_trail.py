"""The audit trail: record outcomes, and refuse to work on an older schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from notifier.errors import OutcomeError, SchemaError
from notifier.events.entry import Priority
from notifier.events.json import without_nul
from notifier.store.database import Connection
from notifier.store.errors import REFUSALS
from notifier.store.migrations import required_migrations
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "queries.sql")


@dataclass(frozen=True, slots=True)
class FirstLook:
    """When the scheduler looks at new rows of one priority: after a time, or at a moment."""

    priority: Priority
    after_seconds: float | None = None
    at: datetime | None = None

    def fields(self) -> dict[str, str | float | None]:
        """Return it as JSON."""
        at = self.at.isoformat() if self.at else None
        return {"priority": self.priority.value, "after_seconds": self.after_seconds, "at": at}


class AuditTrail:
    """One connection, opened again after a loss; not for use by two tasks at once."""

    def __init__(
        self, url: str, *, connect_timeout_seconds: int, statement_timeout_seconds: float
    ) -> None:
        self._connection = Connection(
            url,
            connect_timeout_seconds=connect_timeout_seconds,
            statement_timeout_seconds=statement_timeout_seconds,
        )

    async def open(self) -> None:
        """Connect if not connected; raises StoreError."""
        await self._connection.connected()

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        await self._connection.close()

    async def ping(self) -> None:
        """Ask for an answer; raises StoreError."""
        async with self._errors():
            await (await self._connection.connected()).execute(_QUERIES["ping"])

    async def clock_ahead(self, now: Callable[[], float]) -> float:
        """Return how many seconds the server's clock is ahead of ours, which `now` gives as Unix seconds; raises StoreError."""
        async with self._errors():
            connection = await self._connection.connected()
            before = now()
            row = await (await connection.execute(_QUERIES["clock"])).fetchone()
            return float(row[0]) - (before + now()) / 2 if row else 0.0

    async def missing_migrations(self) -> list[str]:
        """Return the migrations that this version needs and the database lacks; raises StoreError when Postgres is away."""
        async with self._errors():
            try:
                cursor = await (await self._connection.connected()).execute(
                    "SELECT migration_id FROM _yoyo_migration"
                )
                applied = {str(row[0]) for row in await cursor.fetchall()}
            except psycopg.errors.UndefinedTable:
                applied = set()
        return [name for name in required_migrations() if name not in applied]

    async def check_schema(self) -> None:
        """Raise SchemaError when a migration that this version needs is not applied; StoreError when Postgres is away."""
        missing = await self.missing_migrations()
        if missing:
            raise SchemaError(
                f"the database at {self._connection.shown} lacks {', '.join(missing)}; run: notifier migrate up"
            )

    async def record(
        self,
        outcomes: Sequence[bytes],
        *,
        store_cards: bool,
        arrived: Sequence[float],
        looks: Sequence[FirstLook],
    ) -> None:
        """Write a batch of outcomes in one transaction; safe to repeat and in any order.

        Args:
            outcomes: Each is a JSON text.
            store_cards: Whether the cards are kept.
            arrived: When Redis took each outcome, in Unix seconds.
            looks: When the escalation scheduler looks at new rows.

        Raises:
            StoreError: Postgres is away; try the same batch again.
            OutcomeError: Postgres refuses the data of one of them, or all of them together are too much for it.
        """
        array = without_nul(b"[" + b",".join(outcomes) + b"]")
        parameters = {
            "outcomes": Jsonb(array, dumps=_as_it_is),
            "store_cards": store_cards,
            "arrived": list(arrived),
            "looks": Jsonb([look.fields() for look in looks]),
        }
        async with self._errors():
            await (await self._connection.connected()).execute(_QUERIES["record"], parameters)

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except REFUSALS as exc:
            # The driver's text quotes values; the class says enough.
            raise OutcomeError(f"Postgres refuses an outcome: {type(exc).__name__}") from None
        except psycopg.Error as exc:
            raise self._connection.failed(exc) from None


def _as_it_is(written: bytes) -> bytes:
    return written
