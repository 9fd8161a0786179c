"""Read and write whole tables, for backup and restore."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import LiteralString

from psycopg import sql

from notifier.store.database import Connection

TABLES = (
    "teams_notifications",
    "teams_notification_attempts",
    "teams_dead_letter_actions",
    "teams_actions",
    "teams_escalations",
)
"""All that holds data, each after those that it refers to."""

_COLUMNS = b"""
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
"""


async def columns_of(connection: Connection, table: str) -> tuple[str, ...]:
    """Return a table's columns in order; empty: the table is missing.

    Columns that Postgres computes are left out.
    """
    return tuple(await connection.fetch_values(_COLUMNS, {"table": table}))


async def has_rows(connection: Connection, table: str) -> bool:
    """Tell whether a table has a row."""
    cursor = await connection.execute(_on("SELECT FROM {} LIMIT 1", table))
    return await cursor.fetchone() is not None


async def lock(connection: Connection, table: str) -> None:
    """Let others only read a table until the transaction ends."""
    await connection.execute(_on("LOCK TABLE {} IN EXCLUSIVE MODE", table))


async def analyze(connection: Connection, table: str) -> None:
    """Let Postgres count a table for its query plans."""
    await connection.execute(_on("ANALYZE {}", table))


async def copy_out(
    connection: Connection, table: str, columns: Sequence[str], write: Callable[[bytes], object]
) -> int:
    """Write `COPY … TO STDOUT` in pieces; returns how many rows that is."""
    async with connection.cursor() as cursor:
        async with cursor.copy(_copy("COPY {} ({}) TO STDOUT", table, columns)) as copy:
            async for data in copy:
                write(bytes(data))
        return cursor.rowcount


async def copy_in(
    connection: Connection, table: str, columns: Sequence[str], pieces: Iterable[bytes]
) -> int:
    """Add rows as `copy_out` gave them; returns how many."""
    async with connection.cursor() as cursor:
        async with cursor.copy(_copy("COPY {} ({}) FROM STDIN", table, columns)) as copy:
            for piece in pieces:
                await copy.write(piece)
        return cursor.rowcount


def _on(statement: LiteralString, table: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(table))


def _copy(statement: LiteralString, table: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(statement).format(sql.Identifier(table), names)
