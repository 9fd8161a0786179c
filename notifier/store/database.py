"""Connections to Postgres. No statement, commit or connect waits longer than its limit, whatever the server does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import AdaptContext, Buffer, PQGen
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format
from psycopg.types import TypeInfo
from typing_extensions import override

from notifier.config import mask_url
from notifier.errors import OutcomeError, StoreError
from notifier.store.errors import REFUSALS, UnfitEncoding, store_error
from notifier.telemetry.health import announce_wait

T = TypeVar("T")

Rows = psycopg.AsyncConnection[tuple[Any, ...]]

_VANISHED: dict[str, int] = {
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,  # milliseconds
}
"""When a server counts as away that vanished without a word, as its host or a firewall may: the system's own times are up to two hours."""

_LONGEST_SLACK_SECONDS = 5.0
"""Beyond the limit that Postgres itself holds: its own word is worth waiting for."""

_CANCEL_SECONDS = 2.0
"""How long a server may take to end a statement when it is asked to."""

_LOOKS_SECONDS = 60.0
"""How often a wait for an answer is looked after. The driver's default is all the time, for as long as Postgres works."""

_SESSION = (
    b"SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET standard_conforming_strings = on;"
    b"SET default_transaction_isolation = 'read committed'; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = '5min';"
)
"""What the queries rely on, whatever a role or database says. SET, since a PgBouncer refuses or drops options of the start."""
_NEVER_ENDS_IDLE = {140_000: b"SET idle_session_timeout = 0;", 170_000: b"SET transaction_timeout = 0;"}  # fmt: skip
"""By the version that has it."""

_EARLIEST, _LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Access(Enum):
    """What a connection is for."""

    WRITE = "write"
    """Only a server that takes writes is good enough: of several hosts, or addresses of a name, the primary is sought."""
    READ = "read"
    """Changes nothing. Of several hosts the primary is sought; a single one may be a replica."""
    LOOK = "look"
    """As READ, and shows whether the server takes writes."""


class _Bounded(psycopg.AsyncConnection[Any]):
    """Ends itself when an answer takes longer than the limit, or when nobody waits for it any more.

    psycopg has no limit, and would ask a server that hangs to end the statement, and wait for that.
    """

    limit_seconds = _LONGEST_SLACK_SECONDS

    @override
    async def wait(self, gen: PQGen[T], *_: Any, **__: Any) -> T:
        announce_wait(self.limit_seconds + _CANCEL_SECONDS)
        try:
            try:
                async with asyncio.timeout(self.limit_seconds):
                    return await waiting.wait_async(gen, self.pgconn.socket, _LOOKS_SECONDS)
            except TimeoutError:
                return await self._ended(gen)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise
        finally:
            announce_wait(0)

    async def _ended(self, gen: PQGen[T]) -> T:
        """Ask the server to end what takes too long, and return what comes of it; raises psycopg.Error.

        A commit that waits for a synchronous replica ends well then: no limit of Postgres itself holds there.
        """
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self.cancel_safe(timeout=_CANCEL_SECONDS)
                return await waiting.wait_async(gen, self.pgconn.socket, _LOOKS_SECONDS)
        except psycopg.errors.QueryCanceled:
            raise
        except (psycopg.Error, TimeoutError):
            self.pgconn.finish()
            raise psycopg.errors.ConnectionTimeout("no answer within the limit") from None


async def open_connection(
    url: str,
    *,
    name: str,
    connect_seconds: float,
    statement_seconds: float,
    access: Access = Access.WRITE,
) -> Rows:
    """Return a connection, in autocommit mode.

    Args:
        url: Where Postgres is.
        name: Who this is, for pg_stat_activity.
        connect_seconds: Longest wait for one host.
        statement_seconds: Longest run of one statement.
        access: What it is for.

    Raises:
        psycopg.Error: Postgres is away or refuses, also when it takes too long.
    """
    hosts = _hosts(conninfo_to_dict(url))
    # The driver's own limit is for each address by itself, and none for looking up a name.
    limit = connect_seconds * (hosts + 1)
    connection: _Bounded | None = None
    announce_wait(limit)
    try:
        async with asyncio.timeout(limit):
            connection = await _Bounded.connect(
                _conninfo(url, name, access),
                autocommit=True,
                connect_timeout=max(1, int(connect_seconds)),
            )
            await _prepare(connection, statement_seconds, access)
    except TimeoutError:
        raise psycopg.errors.ConnectionTimeout("no connection within the limit") from None
    except BaseException:
        if connection is not None:
            connection.pgconn.finish()
        raise
    return connection


def _hosts(given: Mapping[str, Any]) -> int:
    return str(given.get("host") or "").count(",") + 1


def _conninfo(url: str, name: str, access: Access) -> str:
    given = conninfo_to_dict(url)
    wanted: dict[str, Any] = {
        key: value for key, value in _VANISHED.items() if key not in given
    }
    if access is Access.WRITE or _hosts(given) > 1:
        target = "read-write" if access is Access.WRITE else "primary"
        wanted.setdefault("target_session_attrs", given.get("target_session_attrs") or target)
    wanted |= {"client_encoding": "UTF8", "application_name": name}
    return make_conninfo(url, **wanted)


async def _prepare(connection: _Bounded, statement_seconds: float, access: Access) -> None:
    """Set what the queries rely on; raises psycopg.Error."""
    connection.limit_seconds = _limit(statement_seconds)
    await connection.execute(_session(connection.info, statement_seconds, access))
    if access is not Access.WRITE:  # whoever changes rows has to know which cannot be
        connection.adapters.register_loader("timestamptz", _TimeLoader)


def _limit(statement_seconds: float) -> float:
    return statement_seconds + min(statement_seconds, _LONGEST_SLACK_SECONDS)


def _session(info: psycopg.ConnectionInfo, statement_seconds: float, access: Access) -> bytes:
    """Return the statements that set what the queries rely on; raises UnfitEncoding."""
    encoding = info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        raise UnfitEncoding(encoding)
    version = info.server_version
    later = [query for since, query in _NEVER_ENDS_IDLE.items() if version >= since]
    read_only = b"SET default_transaction_read_only = on;" if access is Access.READ else b""
    return b"".join((_SESSION, *later, read_only, _bound(statement_seconds)))


def _bound(statement_seconds: float) -> bytes:
    return b"SET statement_timeout = %d;" % int(statement_seconds * 1000)


class BlockingConnection(psycopg.Connection[tuple[Any, ...]]):
    """Ends itself when an answer takes longer than the limit; for code that blocks."""

    limit_seconds = _LONGEST_SLACK_SECONDS

    def allow(self, statement_seconds: float) -> None:
        """Let each statement run this long from now on; raises psycopg.Error."""
        self.limit_seconds = _limit(statement_seconds)
        self.execute(_bound(statement_seconds))

    @override
    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        deadline = time.monotonic() + self.limit_seconds
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.errors.ConnectionTimeout("no answer within the limit")
                state = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def open_blocking(
    url: str, *, name: str, connect_seconds: float, statement_seconds: float
) -> BlockingConnection:
    """Return a connection for code that blocks, in autocommit mode, to a server that takes writes.

    Arguments and errors are those of `open_connection`.
    """
    connection = BlockingConnection.connect(
        _conninfo(url, name, Access.WRITE),
        autocommit=True,
        connect_timeout=max(1, int(connect_seconds)),
    )
    try:
        connection.limit_seconds = _limit(statement_seconds)
        connection.execute(_session(connection.info, statement_seconds, Access.WRITE))
    except BaseException:
        connection.pgconn.finish()
        raise
    return connection


class _TimeLoader(Loader):
    """Reads a time that Postgres has and Python has not (infinity, years before 1 and after 9999) as the nearest that can be reckoned with."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        of_driver = psycopg.adapters.get_loader(_TIMESTAMPTZ.oid, Format.TEXT)
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


def _type(name: str) -> TypeInfo:
    found = psycopg.adapters.types.get(name)
    assert found is not None  # noqa: S101 - the driver has it built in
    return found


_TIMESTAMPTZ = _type("timestamptz")


@asynccontextmanager
async def connected(
    url: str,
    *,
    name: str,
    connect_seconds: float,
    statement_seconds: float,
    access: Access = Access.READ,
) -> AsyncIterator[Rows]:
    """Connect for as long as the body runs; raises StoreError for whatever Postgres does not do, also in the body."""
    try:
        connection = await open_connection(
            url,
            name=name,
            connect_seconds=connect_seconds,
            statement_seconds=statement_seconds,
            access=access,
        )
        try:
            yield connection
        finally:
            await connection.close()
    except psycopg.Error as exc:
        raise store_error(url, exc) from None


class Connection:
    """One connection that is opened again after a loss; not for use by two tasks at once."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_seconds: int,
        statement_timeout_seconds: float,
        access: Access = Access.WRITE,
    ) -> None:
        self.shown = mask_url(url)
        self._url = url
        self._connect_timeout = connect_timeout_seconds
        self._statement_timeout = statement_timeout_seconds
        self._access = access
        self._connection: Rows | None = None

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        self._drop()

    async def connected(self) -> Rows:
        """Return the connection, opened if need be; raises StoreError."""
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await open_connection(
                    self._url,
                    name="notifier",
                    connect_seconds=self._connect_timeout,
                    statement_seconds=self._statement_timeout,
                    access=self._access,
                )
            except psycopg.Error as exc:
                raise store_error(self._url, exc) from None
        return self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Rows]:
        """Commit when the body ends, roll back when it raises.

        Raises:
            StoreError: Postgres is away or refuses.
            OutcomeError: It refuses data, each time.
        """
        connection = await self.connected()
        try:
            async with connection.transaction():
                yield connection
        except REFUSALS as exc:
            # The driver's text quotes values; the class says enough.
            raise OutcomeError(f"Postgres refuses data: {type(exc).__name__}") from None
        except psycopg.Error as exc:
            raise self.failed(exc) from None

    def failed(self, exc: psycopg.Error) -> StoreError:
        """Return the error to raise; the next statement gets a new connection, unless this one only refused data or ran out of time.

        A server that has become a replica keeps its connections, and its name may have another address by now.
        """
        if not isinstance(
            exc, psycopg.DataError | psycopg.IntegrityError | psycopg.errors.QueryCanceled
        ):
            self._drop()
        return store_error(self._url, exc)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None
