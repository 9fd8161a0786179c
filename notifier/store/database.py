"""Connections to Postgres: every connect, statement and commit is bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from importlib.resources import files
from typing import Any, Self, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import AdaptContext, Buffer, PQGen
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb
from psycopg.types.string import TextLoader
from typing_extensions import override

from notifier.config import mask_url
from notifier.errors import OutcomeError
from notifier.store.errors import REFUSALS, UnfitEncoding, store_error
from notifier.store.rows import NOTIFICATION_ROW
from notifier.telemetry.health import announce_wait

T = TypeVar("T")

Connect = Callable[[], AbstractAsyncContextManager["Connection"]]
"""Gives a connection to the body of `async with`; raises StoreError for whatever fails there."""

Values = Mapping[str, object]
"""The parameters of a query, by name."""

_KEEPALIVES: dict[str, int] = {
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,  # milliseconds
}
"""A host that vanished, or a firewall that forgot us, is noticed after a minute: the system's own times are up to two hours."""

_MOST_EXTRA_SECONDS = 5.0
"""Beyond the limit that Postgres itself keeps: its own answer is worth waiting for."""

_CANCEL_SECONDS = 2.0
"""How long a server may take to end a statement when it is asked to."""

_WAKE_SECONDS = 60.0
"""How often a wait for an answer wakes up. The driver's default keeps the processor busy while Postgres works."""

_SESSION = (
    b"SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET standard_conforming_strings = on;"
    b"SET default_transaction_isolation = 'read committed'; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = '5min';"
)
"""Settings that the queries rely on. SET, since a PgBouncer refuses or drops startup options."""
_NEVER_ENDS_IDLE = {140_000: b"SET idle_session_timeout = 0;", 170_000: b"SET transaction_timeout = 0;"}  # fmt: skip
"""By the version that has it."""

_CLOCK = b"SELECT extract(epoch FROM clock_timestamp())::double precision"
"""Not now(), which is when the transaction began."""

_EARLIEST, _LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Access(Enum):
    """The purpose of a connection."""

    WRITE = "write"
    """Only a server that takes writes will do: of several hosts, or addresses of a name, the primary is sought."""
    READ = "read"
    """Changes nothing. Of several hosts the primary is sought; a single one may be a replica."""
    LOOK = "look"
    """As READ, and shows whether the server takes writes."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where Postgres is, what a connection is for, and how long to wait."""

    url: str = field(repr=False)
    connect_seconds: float
    """Longest wait for one host."""
    statement_seconds: float
    """Longest run of one statement."""
    access: Access = Access.READ
    name: str = "notifier"
    """For pg_stat_activity."""

    @property
    def shown(self) -> str:
        """Return the address without its password."""
        return mask_url(self.url)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Connect for as long as the body runs.

        Raises:
            StoreError: Postgres is away or refuses, also in the body.
        """
        try:
            connection = await Connection.open(self)
            try:
                yield connection
            finally:
                await connection.close()
        except psycopg.Error as exc:
            raise store_error(self.url, exc) from None

    def conninfo(self) -> str:
        """Return what the driver connects to."""
        given = conninfo_to_dict(self.url)
        wanted: dict[str, Any] = {
            key: value for key, value in _KEEPALIVES.items() if key not in given
        }
        if self.access is Access.WRITE or self.hosts > 1:
            target = "read-write" if self.access is Access.WRITE else "primary"
            wanted["target_session_attrs"] = given.get("target_session_attrs") or target
        wanted |= {"client_encoding": "UTF8", "application_name": self.name}
        return make_conninfo(self.url, **wanted)

    @property
    def hosts(self) -> int:
        """Return how many hosts the address names."""
        return str(conninfo_to_dict(self.url).get("host") or "").count(",") + 1

    @property
    def host_seconds(self) -> int:
        """Return the driver's limit for each host, without its name lookup."""
        return max(1, int(self.connect_seconds))


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """Closes itself if an answer is late or the waiting task is cancelled.

    psycopg has no limit, and would ask a server that hangs to end the statement, and wait for that.
    """

    _answer_seconds = _MOST_EXTRA_SECONDS

    @classmethod
    async def open(cls, database: Database) -> Self:
        """Return a connection in autocommit mode.

        Raises:
            psycopg.Error: Postgres is away or refuses, or takes too long.
        """
        limit = database.connect_seconds * (database.hosts + 1)
        connection: Self | None = None
        announce_wait(limit)
        try:
            async with asyncio.timeout(limit):
                connection = await super().connect(
                    database.conninfo(), autocommit=True, connect_timeout=database.host_seconds
                )
                await connection._prepare(database)
        except TimeoutError:
            raise psycopg.errors.ConnectionTimeout("no connection within the limit") from None
        except BaseException:
            if connection is not None:
                connection.pgconn.finish()
            raise
        return connection

    async def _prepare(self, database: Database) -> None:
        self._answer_seconds = answer_limit(database.statement_seconds)
        await self.execute(session_settings(self.info, database))
        self.adapters.register_loader("uuid", TextLoader)
        if database.access is not Access.WRITE:  # a writer has to know which times cannot be
            self.adapters.register_loader("timestamptz", _TimeLoader)

    async def fetch(
        self, model: type[T], query: bytes, values: Values | None = None
    ) -> list[T]:
        """Return the rows as models whose fields are named as the columns."""
        async with self.cursor(row_factory=class_row(model)) as cursor:
            return await (await cursor.execute(query, values)).fetchall()

    async def fetch_one(
        self, model: type[T], query: bytes, values: Values | None = None
    ) -> T | None:
        """Return the first row of a query as a model; None: it has no row."""
        return next(iter(await self.fetch(model, query, values)), None)

    async def fetch_values(self, query: bytes, values: Values | None = None) -> list[Any]:
        """Return the first column of every row; empty without a result."""
        async with self.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

    async def fetch_value(self, query: bytes, values: Values | None = None) -> Any:
        """Return the first column of the first row; None: there is no row."""
        return next(iter(await self.fetch_values(query, values)), None)

    async def run(self, query: bytes, values: Values | None = None) -> int:
        """Run a statement; returns how many rows it changed."""
        return (await self.execute(query, values)).rowcount

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Let all queries of the body see the database at one moment."""
        await self.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        async with self.transaction():
            yield

    async def clock_ahead(self, now: Callable[[], float]) -> float:
        """Return how many seconds the server's clock is ahead of ours.

        `now` gives ours in Unix seconds.
        """
        before = now()
        clock: float = await self.fetch_value(_CLOCK)
        return clock - (before + now()) / 2

    @override
    async def wait(self, gen: PQGen[T], *_: Any, **__: Any) -> T:
        announce_wait(self._answer_seconds + _CANCEL_SECONDS)
        try:
            try:
                async with asyncio.timeout(self._answer_seconds):
                    return await waiting.wait_async(gen, self.pgconn.socket, _WAKE_SECONDS)
            except TimeoutError:
                return await self._cancel(gen)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise
        finally:
            announce_wait(0)

    async def _cancel(self, gen: PQGen[T]) -> T:
        """Ask the server to end a late statement, and return its answer.

        A commit that waits for a synchronous replica succeeds then: Postgres itself has no limit for it.
        """
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self.cancel_safe(timeout=_CANCEL_SECONDS)
                return await waiting.wait_async(gen, self.pgconn.socket, _WAKE_SECONDS)
        except psycopg.errors.QueryCanceled:
            raise
        except (psycopg.Error, TimeoutError):
            self.pgconn.finish()
            raise psycopg.errors.ConnectionTimeout("no answer within the limit") from None


def answer_limit(statement_seconds: float) -> float:
    """Return how long to wait for an answer, in seconds.

    Postgres itself should have ended the statement before.
    """
    return statement_seconds + min(statement_seconds, _MOST_EXTRA_SECONDS)


def session_settings(info: psycopg.ConnectionInfo, database: Database) -> bytes:
    """Return the statements that begin a session; raises UnfitEncoding."""
    encoding = info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        raise UnfitEncoding(encoding)
    later = [query for since, query in _NEVER_ENDS_IDLE.items() if info.server_version >= since]
    read_only = (
        b"SET default_transaction_read_only = on;" if database.access is Access.READ else b""
    )
    return b"".join(
        (_SESSION, *later, read_only, statement_timeout(database.statement_seconds))
    )


def statement_timeout(seconds: float) -> bytes:
    """Return the statement that lets each later one run this long."""
    return b"SET statement_timeout = %d;" % int(seconds * 1000)


def load_queries(package: str, file: str) -> dict[str, bytes]:
    """Return the queries of a .sql file by their `-- name:` line.

    They are bytes, so that no query is built from strings. `{notification_row}` is replaced by the columns of a NotificationRow.
    """
    text = files(package).joinpath(file).read_bytes()
    text = text.replace(b"{notification_row}", NOTIFICATION_ROW)
    parts = re.split(rb"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name.decode(): query for name, query in zip(parts[1::2], parts[2::2], strict=True)}


def json_parameter(encoded: bytes) -> Jsonb:
    """Return encoded JSON as a parameter of a query, sent as it is."""
    return Jsonb(encoded, dumps=lambda written: written)


class _TimeLoader(Loader):
    """Reads a time outside of Python's range as the nearest that is safe.

    Such are infinity, and years before 1 and after 9999.
    """

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        of_driver = psycopg.adapters.get_loader(oid, Format.TEXT)
        assert of_driver is not None  # noqa: S101 - the driver has it built in
        self._load = of_driver(oid, context).load

    @override
    def load(self, data: Buffer) -> datetime:
        try:
            at: datetime = self._load(data)
        except psycopg.DataError:
            early = bytes(data).startswith(b"-") or bytes(data).endswith(b"BC")
            return _EARLIEST if early else _LATEST
        return min(max(at, _EARLIEST), _LATEST)


class KeptConnection:
    """A connection that is opened again after a loss; not for two tasks."""

    def __init__(self, database: Database) -> None:
        self.shown = database.shown
        self._database = database
        self._connection: Connection | None = None

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        self._drop()

    async def opened(self) -> Connection:
        """Return the connection, opened if necessary; raises StoreError."""
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await Connection.open(self._database)
            except psycopg.Error as exc:
                raise store_error(self._database.url, exc) from None
        return self._connection

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Give the connection to the body, whose statements commit one by one.

        After a failure the next user gets a new connection, unless Postgres refused data or ended a slow statement:
        a server that has become a replica keeps its connections, and its name may have another address by now.

        Raises:
            StoreError: Postgres is away or refuses.
            OutcomeError: It refuses data, each time.
        """
        connection = await self.opened()
        try:
            yield connection
        except REFUSALS as exc:
            # The driver's text quotes values; the class says enough.
            raise OutcomeError(f"Postgres refuses data: {type(exc).__name__}") from None
        except psycopg.Error as exc:
            if not isinstance(exc, psycopg.errors.QueryCanceled):
                self._drop()
            raise store_error(self._database.url, exc) from None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Commit when the body ends, roll back when it raises. Raises as `use`."""
        async with self.use() as connection, connection.transaction():
            yield connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None
