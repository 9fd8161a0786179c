"""One connection to Postgres that is opened again after a loss."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from notifier.config import mask_url
from notifier.errors import StoreError
from notifier.store.failures import store_error

_VANISHED: dict[str, int] = {
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,  # milliseconds
}
"""When a server counts as away that vanished without a word, as its host or a firewall may: the system's own times are up to two hours."""


class Connection:
    """Not for use by two tasks at once."""

    def __init__(
        self, url: str, *, connect_timeout_seconds: int, statement_timeout_seconds: float
    ) -> None:
        self.shown = mask_url(url)
        self._url = url
        self._connect_timeout = connect_timeout_seconds
        self._statement_timeout_ms = int(statement_timeout_seconds * 1000)
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        """Return the connection, opened if need be; raises StoreError."""
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await psycopg.AsyncConnection.connect(
                    _noticing_loss(self._url),
                    autocommit=True,
                    connect_timeout=self._connect_timeout,
                    options=f"-c statement_timeout={self._statement_timeout_ms} -c timezone=UTC",
                    application_name="notifier",
                )
            except psycopg.Error as exc:
                raise self.failed(exc) from None
        return self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """Commit when the body ends, roll back when it raises. Raises StoreError when Postgres is away or refuses."""
        connection = await self.connected()
        try:
            async with connection.transaction():
                yield connection
        except psycopg.Error as exc:
            raise self.failed(exc) from None

    def failed(self, exc: psycopg.Error) -> StoreError:
        """Return the error to raise."""
        return store_error(self._url, exc)


def _noticing_loss(url: str) -> str:
    """Return how to connect, with _VANISHED where the URL does not say otherwise; raises psycopg.Error."""
    given = conninfo_to_dict(url)
    return make_conninfo(
        url, **{name: value for name, value in _VANISHED.items() if name not in given}
    )
