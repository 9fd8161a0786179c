"""One connection to Postgres that is opened again after a loss."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from notifier.config import DatabaseSettings, mask_url
from notifier.errors import StoreError


class Connection:
    """Not for use by two tasks at once."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._shown = mask_url(settings.url)
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """Commit when the body ends, roll back when it raises. Raises StoreError when Postgres is away or refuses."""
        try:
            connection = await self._connected()
            async with connection.transaction():
                yield connection
        except psycopg.Error as exc:
            # The driver's text quotes values; the class says enough.
            raise StoreError(
                f"Postgres at {self._shown} failed: {type(exc).__name__}; check database.url and that the server is up"
            ) from None

    async def _connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            timeout_ms = int(self._settings.statement_timeout_seconds * 1000)
            self._connection = await psycopg.AsyncConnection.connect(
                self._settings.url,
                autocommit=True,
                connect_timeout=self._settings.connect_timeout_seconds,
                options=f"-c statement_timeout={timeout_ms} -c timezone=UTC",
                application_name="notifier",
            )
        return self._connection
