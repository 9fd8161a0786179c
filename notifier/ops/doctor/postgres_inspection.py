"""Look at the database as an operator would: version, clock, schema, rights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg

from notifier.config import DatabaseSettings
from notifier.store.database import Access, Rows, connected
from notifier.store.migrations import lacking_right, required_migrations
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "inspection.sql")
_STATEMENT_SECONDS = 5.0

DAEMON_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "teams_notifications": ("SELECT", "INSERT", "UPDATE"),
    "teams_notification_attempts": ("INSERT",),
    "teams_actions": ("SELECT", "INSERT", "UPDATE"),
    "teams_escalations": ("SELECT", "INSERT"),
    "teams_notifications_unacknowledged_critical": ("SELECT",),
    "_yoyo_migration": ("SELECT",),
}
"""What the daemon does with each table."""
COMMAND_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "teams_dead_letter_actions": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "teams_notifications": ("DELETE",),
    "teams_notification_attempts": ("SELECT",),
    "teams_actions": ("DELETE",),
    "teams_escalations": ("DELETE",),
}
"""What the console and the commands do besides."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What was found."""

    version: int
    """As Postgres counts: 160004 is 16.4."""
    ahead_seconds: float
    """How far its clock is ahead of ours."""
    read_only: bool
    missing_migrations: tuple[str, ...]
    cannot_migrate: str | None
    """Why this user could not apply them, and what grants it."""
    daemon_lacks: tuple[tuple[str, str], ...]
    """Table and right."""
    commands_lack: tuple[tuple[str, str], ...]


async def inspect(settings: DatabaseSettings, *, now: Callable[[], float]) -> DatabaseState:
    """Ask the server; changes nothing. `now` gives Unix seconds.

    Raises:
        StoreError: Postgres is away or refuses.
    """
    async with connected(
        settings.url,
        name="notifier doctor",
        connect_seconds=settings.connect_timeout_seconds,
        statement_seconds=_STATEMENT_SECONDS,
        access=Access.LOOK,
    ) as opened:
        before = now()
        cursor = await opened.execute(_QUERIES["server"])
        row = await cursor.fetchone()
        assert row is not None  # noqa: S101 - such a query has one row
        version, clock, read_only = row
        ahead = float(clock) - (before + now()) / 2
        missing = await _missing(opened)
        return DatabaseState(
            int(version),
            ahead,
            bool(read_only),
            missing,
            await lacking_right(opened) if missing else None,
            await _lacking(opened, DAEMON_RIGHTS),
            await _lacking(opened, COMMAND_RIGHTS),
        )


async def _missing(connection: Rows) -> tuple[str, ...]:
    try:
        cursor = await connection.execute(_QUERIES["migrations"])
        applied = {str(row[0]) for row in await cursor.fetchall()}
    except psycopg.errors.UndefinedTable:
        applied = set()
    except psycopg.errors.InsufficientPrivilege:
        # That is among the rights that are lacking.
        return ()
    return tuple(name for name in required_migrations() if name not in applied)


async def _lacking(
    connection: Rows,
    rights: Mapping[str, tuple[str, ...]],
) -> tuple[tuple[str, str], ...]:
    wanted = [
        {"name": table, "privilege": privilege}
        for table, privileges in rights.items()
        for privilege in privileges
    ]
    cursor = await connection.execute(_QUERIES["lacking"], {"wanted": json.dumps(wanted)})
    return tuple((str(table), str(privilege)) for table, privilege in await cursor.fetchall())
