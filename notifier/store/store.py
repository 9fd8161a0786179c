"""The audit trail: record outcomes, and refuse to work on an older schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg

from notifier.config import mask_url
from notifier.errors import OutcomeError, SchemaError, StoreError
from notifier.store.migrations import required_migrations
from notifier.store.queries import load_queries

_QUERIES = load_queries("queries.sql")


class Store:
    """One connection, opened again after a loss; not for use by two tasks at once."""

    def __init__(
        self, url: str, *, connect_timeout_seconds: int, statement_timeout_seconds: float
    ) -> None:
        self._url = url
        self._shown = mask_url(url)
        self._connect_timeout = connect_timeout_seconds
        self._statement_timeout_ms = int(statement_timeout_seconds * 1000)
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def open(self) -> None:
        """Connect if not connected; raises StoreError."""
        await self._connected()

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def ping(self) -> None:
        """Ask for an answer; raises StoreError."""
        async with self._errors():
            await (await self._connected()).execute(_QUERIES["ping"])

    async def check_schema(self) -> None:
        """Raise SchemaError when a migration that this version needs is not applied; StoreError when Postgres is away."""
        async with self._errors():
            try:
                cursor = await (await self._connected()).execute(
                    "SELECT migration_id FROM _yoyo_migration"
                )
                applied = {str(row[0]) for row in await cursor.fetchall()}
            except psycopg.errors.UndefinedTable:
                applied = set()
        missing = [name for name in required_migrations() if name not in applied]
        if missing:
            raise SchemaError(
                f"the database at {self._shown} lacks {', '.join(missing)}; run: notifier migrate up"
            )

    async def record(self, outcomes: Sequence[bytes], *, store_cards: bool) -> None:
        """Write a batch of outcomes in one transaction; safe to repeat and in any order.

        Raises:
            StoreError: Postgres is away; try the same batch again.
            OutcomeError: Postgres refuses the data of one of them.
        """
        # JSON's escaped NUL is the one character that jsonb refuses.
        array = (b"[" + b",".join(outcomes) + b"]").replace(b"\\u0000", b"\\ufffd")
        parameters = {"outcomes": array.decode(), "store_cards": store_cards}
        async with self._errors():
            connection = await self._connected()
            async with connection.transaction():
                await connection.execute(_QUERIES["record"], parameters)
                await connection.execute(
                    _QUERIES["record_attempts"], {"outcomes": parameters["outcomes"]}
                )

    async def _connected(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        if self._connection is None or self._connection.closed:
            async with self._errors():
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=self._connect_timeout,
                    options=f"-c statement_timeout={self._statement_timeout_ms} -c timezone=UTC",
                    application_name="notifier",
                )
        return self._connection

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except (psycopg.DataError, psycopg.IntegrityError) as exc:
            # The driver's text quotes values; the class says enough.
            raise OutcomeError(f"Postgres refuses an outcome: {type(exc).__name__}") from None
        except psycopg.Error as exc:
            raise StoreError(
                f"Postgres at {self._shown} failed: {type(exc).__name__}; check database.url and that the server is up"
            ) from None
