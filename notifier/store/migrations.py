"""Migrate the schema up or down with yoyo, and read its status.

Each migration is applied as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.rows import class_row, scalar_row
from typing_extensions import override

from notifier.config import assets, mask_url
from notifier.errors import StoreError
from notifier.store.database import (
    Access,
    Connection,
    Database,
    Values,
    answer_limit,
    load_queries,
    session_settings,
    statement_timeout,
)
from notifier.store.errors import store_error
from notifier.store.tables import TABLES

T = TypeVar("T")

if TYPE_CHECKING:
    from yoyo.backends import DatabaseBackend
    from yoyo.migrations import Migration

_QUERIES = load_queries(__package__, "migrations.sql")
MIGRATION_TABLE = "_yoyo_migration"
"""Where yoyo notes which migrations are applied."""
_NAME = "notifier migrate"
_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 3600.0
_QUESTION_SECONDS = 10.0
"""For what takes no time: a daemon that starts waits until a server that hangs is given up here."""
_OTHERS_SECONDS = 60.0
"""How long to wait for another process that migrates."""
_RETRY_SECONDS = 0.5
_OF_TABLES = {"tables": list(TABLES)}


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, and when it was applied (None: it was not)."""

    id: str
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Applied:
    migration_id: str
    applied_at_utc: datetime


@dataclass(frozen=True, slots=True)
class _Rights:
    user_name: str
    schema: str | None
    may_create: bool
    search_path: str
    other_owner: str | None
    """Another role that owns some of the tables."""

    @property
    def lacking(self) -> str | None:
        """Return what this user may not do to the schema, and the fix; or None."""
        user, schema = self.user_name, self.schema
        if schema is None:
            return (
                f"has no schema that {user} may use: search_path is {self.search_path};"
                f" as a superuser, in this database: CREATE SCHEMA {user} AUTHORIZATION {user}"
                f" (or GRANT USAGE, CREATE ON SCHEMA public TO {user})"
            )
        if not self.may_create:
            return (
                f"does not let {user} make tables in the schema {schema};"
                f" as its owner or a superuser, in this database: GRANT CREATE ON SCHEMA {schema} TO {user}"
            )
        if (owner := self.other_owner) is not None:
            return (
                f"does not let {user} change the tables: they belong to {owner};"
                f" run this as {owner} (database.url), or as a superuser: GRANT {owner} TO {user}"
            )
        return None


def required_migrations() -> list[str]:
    """Return the ids of the migrations that this version needs, oldest first."""
    names = (path.name for path in assets.migrations_dir().glob("*.sql"))
    return sorted(
        name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql")
    )


def migrate_up(
    url: str,
    *,
    statement_seconds: float = _STATEMENT_SECONDS,
    others_seconds: float = _OTHERS_SECONDS,
) -> list[str]:
    """Apply what is missing; returns the ids applied.

    Args:
        url: Where Postgres is.
        statement_seconds: Longest run of one statement.
        others_seconds: How long to wait for another process that migrates.

    Raises:
        StoreError: Postgres is away, refuses, or is migrated by another process for longer.
    """
    with migrating(
        url, statement_seconds=statement_seconds, others_seconds=others_seconds
    ) as schema:
        return schema.apply(required_migrations())


def migrate_down(
    url: str,
    *,
    steps: int = 1,
    statement_seconds: float = _STATEMENT_SECONDS,
    others_seconds: float = _OTHERS_SECONDS,
) -> list[str]:
    """Roll back the latest `steps` migrations, as migrate_up applies them."""
    with migrating(
        url, statement_seconds=statement_seconds, others_seconds=others_seconds
    ) as schema:
        return schema.roll_back(steps)


def status(url: str, *, connect_seconds: float = _CONNECT_SECONDS) -> list[MigrationStatus]:
    """Return every migration and when it was applied. Raises StoreError."""
    database = Database(url, connect_seconds, _QUESTION_SECONDS, name=_NAME)

    async def read() -> dict[str, datetime]:
        async with database.connection() as connection:
            return await applied(connection)

    found = asyncio.run(read())
    return [MigrationStatus(name, found.get(name)) for name in required_migrations()]


async def applied(connection: Connection) -> dict[str, datetime]:
    """Return which migrations are applied, and when."""
    if not await connection.fetch_value(_QUERIES["noted"]):
        return {}
    rows = await connection.fetch(_Applied, _QUERIES["applied"])
    return {each.migration_id: each.applied_at_utc.replace(tzinfo=UTC) for each in rows}


async def missing_migrations(connection: Connection) -> list[str]:
    """Return the migrations that this version needs and the database lacks."""
    found = await applied(connection)
    return [name for name in required_migrations() if name not in found]


def ensure_database(url: str, name: str, *, connect_seconds: float) -> None:
    """Create a database where there is none of this name; raises StoreError.

    Args:
        url: Another database of the same server.
        name: The name of the database.
        connect_seconds: Longest wait for the server.
    """
    try:
        database = Database(url, connect_seconds, _QUESTION_SECONDS, Access.LOOK, _NAME)
        with _Blocking.open(database) as connection:
            if connection.execute(_QUERIES["database"], {"name": name}).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as exc:
        raise store_error(url, exc) from None


@contextmanager
def migrating(url: str, *, statement_seconds: float, others_seconds: float) -> Iterator[Schema]:
    """Lock the schema against other processes until the body ends.

    Raises:
        StoreError: Postgres is away or refuses, also in the body.
    """
    try:
        database = Database(url, _CONNECT_SECONDS, _QUESTION_SECONDS, Access.WRITE, _NAME)
        with _Blocking.open(database) as connection:
            schema = Schema(connection, url)
            schema.lock(others_seconds)
            connection.allow(statement_seconds)
            yield schema
    except psycopg.Error as exc:
        raise store_error(url, exc) from None


class _Blocking(psycopg.Connection[tuple[Any, ...]]):
    """Closes itself if an answer is late; yoyo needs a blocking connection."""

    _answer_seconds = _QUESTION_SECONDS

    @classmethod
    def open(cls, database: Database) -> Self:
        """Return a connection in autocommit mode; raises psycopg.Error."""
        connection = cls.connect(
            database.conninfo(), autocommit=True, connect_timeout=database.host_seconds
        )
        try:
            connection._answer_seconds = answer_limit(database.statement_seconds)
            connection.execute(session_settings(connection.info, database))
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection

    def allow(self, statement_seconds: float) -> None:
        """Let each statement run this long from now on; raises psycopg.Error."""
        self._answer_seconds = answer_limit(statement_seconds)
        self.execute(statement_timeout(statement_seconds))

    def fetch(self, model: type[T], query: bytes, values: Values | None = None) -> list[T]:
        """Return the rows as models whose fields are named as the columns."""
        return self.cursor(row_factory=class_row(model)).execute(query, values).fetchall()

    @override
    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        deadline = time.monotonic() + self._answer_seconds
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


class Schema:
    """The schema of a database, over the connection that holds its lock."""

    def __init__(self, connection: _Blocking, url: str) -> None:
        self._connection = connection
        self._url = url
        self._yoyo = _backend(connection)

    def lock(self, others_seconds: float) -> None:
        """Wait until no other process migrates; raises StoreError if one does."""
        with suppress(psycopg.Error):  # not in every version, nor on every system
            # A long statement of a process that was killed ends, and its lock with it.
            self._connection.execute(b"SET client_connection_check_interval = '2s'")
        deadline = time.monotonic() + others_seconds
        while not self._value("lock"):
            if time.monotonic() > deadline:
                holder = self._value("holder")
                raise StoreError(
                    f"Postgres at {mask_url(self._url)} is being migrated by another process (pg_stat_activity: pid {holder});"
                    " wait for it, and try again"
                )
            time.sleep(_RETRY_SECONDS)
        if self._value("has_old_lock"):
            self._connection.execute(_QUERIES["break_old_lock"])

    def apply(self, names: Collection[str]) -> list[str]:
        """Apply missing migrations in order; returns their ids.

        Raises:
            StoreError: A right is missing.
            psycopg.Error: Postgres is away or refuses.
        """
        migrations = self._migrations()
        if any(name not in self._applied() for name in names):
            self._require_rights()
        wanted = [each for each in self._yoyo.to_apply(migrations) if each.id in names]
        for migration in wanted:
            self._run(migration, "apply")
        return [migration.id for migration in wanted]

    def roll_back(self, steps: int) -> list[str]:
        """Roll back the latest known migrations; returns their ids.

        Raises as `apply`.
        """
        if not self._applied():
            return []
        self._require_rights()
        wanted = list(self._yoyo.to_rollback(self._migrations()))[:steps]
        for migration in wanted:
            self._run(migration, "rollback")
        return [migration.id for migration in wanted]

    def _run(self, migration: Migration, direction: str) -> None:
        """Run a migration and note it in one transaction.

        A file may say that it cannot run in a transaction.

        Such a file begins by removing what an interrupted run of it left. (yoyo's own way notes it in a second transaction.)
        """
        note = self._yoyo.mark_one if direction == "apply" else self._yoyo.unmark_one
        migration.load()
        if not migration.use_transactions:
            migration.process_steps(self._yoyo, direction)
            note(migration)
            return
        with self._yoyo.transaction():
            # Whoever waits for a table's lock delays everyone who comes after.
            self._yoyo.execute("SET LOCAL lock_timeout = '10s'")
            migration.process_steps(self._yoyo, direction)
            note(migration)

    def _migrations(self) -> Any:
        from yoyo import read_migrations

        return read_migrations(str(assets.migrations_dir()))

    def _applied(self) -> set[str]:
        if not self._value("noted"):
            return set()
        rows = self._connection.fetch(_Applied, _QUERIES["applied"])
        return {each.migration_id for each in rows}

    def _require_rights(self) -> None:
        [rights] = self._connection.fetch(_Rights, _QUERIES["rights"], _OF_TABLES)
        if lacking := rights.lacking:
            raise StoreError(f"Postgres at {mask_url(self._url)} {lacking}")

    def _value(self, query: str) -> object:
        return (
            self._connection.cursor(row_factory=scalar_row).execute(_QUERIES[query]).fetchone()
        )


def _backend(connection: _Blocking) -> DatabaseBackend:
    # The daemon asks only which migrations it needs, and must not wait for yoyo's imports.
    from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
    from yoyo.connections import DatabaseURI
    from yoyo.migrations import default_migration_table

    class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no types
        """A backend with our connection and its lock, not a row as lock."""

        @override
        def connect(self, dburi: object) -> Any:
            return connection

        @override
        @contextmanager
        def lock(self, timeout: float = 0) -> Iterator[None]:
            yield

    address = DatabaseURI("postgresql", None, None, None, None, connection.info.dbname, {})
    return Backend(address, default_migration_table)


async def lacking_right(connection: Connection) -> str | None:
    """Return why this user cannot change the schema, and the fix; or None."""
    [rights] = await connection.fetch(_Rights, _QUERIES["rights"], _OF_TABLES)
    return rights.lacking
