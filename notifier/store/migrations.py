"""Bring the schema up or down, each migration whole or not at all, and say where it stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import psycopg

from notifier import assets
from notifier.config import mask_url
from notifier.errors import StoreError
from notifier.store.connection import Access, Rows, allow, connected
from notifier.store.queries import load_queries

T = TypeVar("T")

_QUERIES = load_queries("migrations.sql")
_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 3600.0
_QUESTION_SECONDS = 10.0
"""For what takes no time: a daemon that starts waits until a server that hangs is given up here."""
_OTHERS_SECONDS = 60.0
"""How long to wait for another process that migrates."""
_LOOK_SECONDS = 0.5

TABLES = (
    "teams_notifications",
    "teams_notification_attempts",
    "teams_dead_letter_actions",
    "teams_actions",
    "teams_escalations",
)
"""All that holds data, each after those that it refers to."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, and when it was applied (None: it was not)."""

    id: str
    applied_at: datetime | None


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

    async def up(connection: Rows) -> list[str]:
        return await apply(connection, url, required_migrations())

    return _alone(url, statement_seconds, others_seconds, up)


def migrate_down(
    url: str,
    *,
    steps: int = 1,
    statement_seconds: float = _STATEMENT_SECONDS,
    others_seconds: float = _OTHERS_SECONDS,
) -> list[str]:
    """Roll back the latest `steps` migrations; returns their ids. Otherwise as migrate_up."""

    async def down(connection: Rows) -> list[str]:
        return await roll_back(connection, url, steps=steps)

    return _alone(url, statement_seconds, others_seconds, down)


def status(url: str, *, connect_seconds: float = _CONNECT_SECONDS) -> list[MigrationStatus]:
    """Return every migration and when it was applied. Raises StoreError."""

    async def read() -> dict[str, datetime]:
        async with connected(
            url,
            name="notifier migrate",
            connect_seconds=connect_seconds,
            statement_seconds=_QUESTION_SECONDS,
        ) as connection:
            return await applied(connection)

    found = asyncio.run(read())
    return [MigrationStatus(name, found.get(name)) for name in required_migrations()]


def _alone(
    url: str,
    statement_seconds: float,
    others_seconds: float,
    work: Callable[[Rows], Awaitable[T]],
) -> T:
    async def alone() -> T:
        async with migrating(
            url, statement_seconds=statement_seconds, others_seconds=others_seconds
        ) as connection:
            return await work(connection)

    return asyncio.run(alone())


@asynccontextmanager
async def migrating(
    url: str, *, statement_seconds: float, others_seconds: float
) -> AsyncIterator[Rows]:
    """Connect and hold the lock of those who change the schema, until the body ends. Raises StoreError, also for the body."""
    async with connected(
        url,
        name="notifier migrate",
        connect_seconds=_CONNECT_SECONDS,
        statement_seconds=_QUESTION_SECONDS,
        access=Access.WRITE,
    ) as connection:
        with suppress(psycopg.Error):  # not in every version, nor on every system
            # A long statement of a process that was killed ends, and its lock with it.
            await connection.execute(b"SET client_connection_check_interval = '2s'")
        deadline = time.monotonic() + others_seconds
        while not await _value(connection, "lock"):
            if time.monotonic() > deadline:
                holder = await _value(connection, "holder")
                raise StoreError(
                    f"Postgres at {mask_url(url)} is being migrated by another process (pg_stat_activity: pid {holder});"
                    " wait for it, and try again"
                )
            await asyncio.sleep(_LOOK_SECONDS)
        if await _value(connection, "has_old_lock"):
            await connection.execute(_QUERIES["break_old_lock"])
        await allow(connection, statement_seconds)
        yield connection


async def applied(connection: Rows) -> dict[str, datetime]:
    """Return which migrations are applied, and when."""
    if not await _value(connection, "noted"):
        return {}
    rows = await (await connection.execute(_QUERIES["applied"])).fetchall()
    return {str(name): at.replace(tzinfo=UTC) for name, at in rows}


async def apply(connection: Rows, url: str, names: Sequence[str]) -> list[str]:
    """Apply those that are missing, in their order; returns their ids. Raises StoreError or psycopg.Error."""
    there = await applied(connection)
    missing = [name for name in names if name not in there]
    if missing:
        await _require_rights(connection, url)
        if not await _value(connection, "noted"):
            await connection.execute(_QUERIES["book"])
    for name in missing:
        await _run(connection, f"{name}.sql", "mark", name)
    return missing


async def roll_back(connection: Rows, url: str, *, steps: int) -> list[str]:
    """Take back the latest that this version knows; returns their ids. Raises StoreError or psycopg.Error."""
    there = await applied(connection)
    latest = [name for name in reversed(required_migrations()) if name in there][:steps]
    if latest:
        await _require_rights(connection, url)
    for name in latest:
        await _run(connection, f"{name}.rollback.sql", "unmark", name)
    return latest


async def lacking_right(connection: Rows) -> str | None:
    """Return why this user cannot change the schema, and what grants it; None when it can."""
    cursor = await connection.execute(_QUERIES["rights"], {"tables": list(TABLES)})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - such a query has one row
    user, schema, may_create, path, owner = row
    if schema is None:
        return (
            f"has no schema that {user} may use: search_path is {path};"
            f" as a superuser, in this database: CREATE SCHEMA {user} AUTHORIZATION {user}"
            f" (or GRANT USAGE, CREATE ON SCHEMA public TO {user})"
        )
    if not may_create:
        return (
            f"does not let {user} make tables in the schema {schema};"
            f" as its owner or a superuser, in this database: GRANT CREATE ON SCHEMA {schema} TO {user}"
        )
    if owner is not None:
        return (
            f"does not let {user} change the tables: they belong to {owner};"
            f" run this as {owner} (database.url), or as a superuser: GRANT {owner} TO {user}"
        )
    return None


async def _require_rights(connection: Rows, url: str) -> None:
    lacking = await lacking_right(connection)
    if lacking:
        raise StoreError(f"Postgres at {mask_url(url)} {lacking}")


async def _run(connection: Rows, file: str, mark: str, name: str) -> None:
    """Run a file and note that it was: in one transaction, unless the file says that it cannot be.

    Such a file begins by removing what an interrupted run of it left.
    """
    text = (assets.migrations_dir() / file).read_bytes()
    if b"-- transactional: false" in text:
        for statement in text.split(b";\n"):
            if statement.strip():
                await connection.execute(statement)
        await connection.execute(_QUERIES[mark], {"id": name})
        return
    async with connection.transaction():
        # Whoever waits for a table's lock holds up everyone who comes after.
        await connection.execute(b"SET LOCAL lock_timeout = '10s'")
        await connection.execute(text)
        await connection.execute(_QUERIES[mark], {"id": name})


async def _value(connection: Rows, query: str) -> object:
    row = await (await connection.execute(_QUERIES[query])).fetchone()
    return row[0] if row else None
