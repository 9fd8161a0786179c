"""Connections to Postgres that the readers of one process share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Self

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from typing_extensions import override

from notifier.errors import StatementTimeoutError, StoreError
from notifier.store.database import Connect, Connection, Database
from notifier.store.errors import store_error

_SIZE = 11
"""As many as all shares together: no kind of reader waits for another."""
_IDLE_SECONDS = 60.0
_LONGEST_SECONDS = 300.0
"""How long a connection is used: after a switchover its server may have become a replica."""

logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
# The driver's texts quote names; whoever asks for a connection gets the reason in our words.


class Pool:
    """Lends connections to any number of tasks; opens none before that.

    psycopg_pool connects in the background and does not say why that fails. So a connection that cannot be opened ends
    the wait of all who want one, with the reason, rather than when their time is over.
    """

    def __init__(self, database: Database, *, size: int = _SIZE) -> None:
        self._database = database
        self._failure: psycopg.Error | None = None
        self._waiting: set[asyncio.Timeout] = set()
        pool = self

        class Pooled(Connection):
            @override
            @classmethod
            async def connect(cls, *_: Any, **__: Any) -> Self:
                try:
                    opened = await cls.open(database)
                except psycopg.Error as exc:
                    pool._fail(exc)
                    raise
                pool._failure = None
                return opened

        self._pool = AsyncConnectionPool(
            connection_class=Pooled,
            min_size=0,
            max_size=size,
            open=False,
            check=AsyncConnectionPool.check_connection,
            max_idle=_IDLE_SECONDS,
            max_lifetime=_LONGEST_SECONDS,
            reconnect_timeout=0,
        )

    async def close(self) -> None:
        """Close all connections; safe to repeat."""
        await self._pool.close(timeout=1)

    def share(self, most: int, *, seconds: float) -> Connect:
        """Return `connection` for readers that use at most `most` at once."""
        return partial(self.connection, seconds, asyncio.Semaphore(most))

    @asynccontextmanager
    async def connection(
        self, seconds: float, slots: asyncio.Semaphore | None = None
    ) -> AsyncIterator[Connection]:
        """Lend a connection for at most `seconds`, with the wait for it.

        Raises:
            StoreError: Postgres is away or refuses, also in the body, or it took longer.
        """
        connection: Connection | None = None
        has_slot = False
        try:
            async with asyncio.timeout(seconds) as limit, slots or nullcontext():
                has_slot = True
                await self._pool.open()
                self._waiting.add(limit)
                try:
                    connection = await self._pool.getconn(timeout=seconds)
                except BaseException:
                    self._forget_ended_waits()
                    raise
                finally:
                    self._waiting.discard(limit)
                try:
                    yield connection
                finally:
                    await self._pool.putconn(connection)
        except (PoolTimeout, TimeoutError) as exc:
            if connection is None:
                if not has_slot:
                    raise StoreError(
                        "all connections to Postgres for this are busy; try again"
                    ) from None
                raise store_error(self._database.url, self._failure or exc) from None
            raise StatementTimeoutError(
                f"Postgres at {self._database.shown} took longer than {seconds:g} s; narrow the filter or try again"
            ) from None
        except psycopg.Error as exc:
            raise store_error(self._database.url, exc) from None

    def _forget_ended_waits(self) -> None:
        # psycopg_pool keeps them, with the frames of their errors, until a connection comes: maybe for days.
        waits = self._pool._waiting
        for ended in [each for each in waits if each.error is not None]:
            waits.remove(ended)

    def _fail(self, exc: psycopg.Error) -> None:
        self._failure = exc
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(now)
