"""Look at the database as an operator would: version, clock, schema, rights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifier.store.database import Connection, Database, load_queries
from notifier.store.migrations import MIGRATION_TABLE, lacking_right, missing_migrations

_QUERIES = load_queries(__package__, "inspection.sql")

DAEMON_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "teams_notifications": ("SELECT", "INSERT", "UPDATE"),
    "teams_notification_attempts": ("INSERT",),
    "teams_actions": ("SELECT", "INSERT", "UPDATE"),
    "teams_escalations": ("SELECT", "INSERT"),
    "teams_notifications_unacknowledged_critical": ("SELECT",),
    MIGRATION_TABLE: ("SELECT",),
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


@dataclass(frozen=True, slots=True)
class _Server:
    version: int
    read_only: bool


@dataclass(frozen=True, slots=True)
class _Right:
    name: str
    privilege: str


async def inspect(database: Database, *, now: Callable[[], float]) -> DatabaseState:
    """Ask the server; changes nothing. `now` gives Unix seconds.

    Raises:
        StoreError: Postgres is away or refuses.
    """
    async with database.connection() as connection:
        server = await connection.fetch_one(_Server, _QUERIES["server"])
        assert server is not None  # noqa: S101 - such a query has one row
        daemon_lacks = await _lacking(connection, DAEMON_RIGHTS)
        missing = (
            []
            if (MIGRATION_TABLE, "SELECT") in daemon_lacks
            else await missing_migrations(connection)
        )
        return DatabaseState(
            server.version,
            await connection.clock_ahead(now),
            server.read_only,
            tuple(missing),
            await lacking_right(connection) if missing else None,
            daemon_lacks,
            await _lacking(connection, COMMAND_RIGHTS),
        )


async def _lacking(
    connection: Connection, rights: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, str], ...]:
    wanted = [
        {"name": table, "privilege": privilege}
        for table, privileges in rights.items()
        for privilege in privileges
    ]
    values = {"wanted": json.dumps(wanted)}
    found = await connection.fetch(_Right, _QUERIES["lacking"], values)
    return tuple((each.name, each.privilege) for each in found)
