"""Check Postgres: version, schema, rights and clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifier.config.models import DatabaseSettings
from notifier.ops.doctor.checks import clock_findings
from notifier.store.database import Access, Connection, Database, load_queries
from notifier.store.migrations import MIGRATION_TABLE, lacking_right, missing_migrations
from notifier.telemetry.findings import Finding, fault, fault_of, ok, warning

NAME = "postgres"
_OLDEST_MAJOR = 13
_STATEMENT_SECONDS = 5.0
_QUERIES = load_queries(__package__, "postgres.sql")

DAEMON_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "teams_notifications": ("SELECT", "INSERT", "UPDATE"),
    "teams_notification_attempts": ("INSERT",),
    "teams_actions": ("SELECT", "INSERT", "UPDATE"),
    "teams_escalations": ("SELECT", "INSERT"),
    "teams_notifications_unacknowledged_critical": ("SELECT",),
    MIGRATION_TABLE: ("SELECT",),
}
"""Rights of the daemon by table."""
COMMAND_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "teams_dead_letter_actions": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "teams_notifications": ("DELETE",),
    "teams_notification_attempts": ("SELECT",),
    "teams_actions": ("DELETE",),
    "teams_escalations": ("DELETE",),
}
"""Rights of the console and the commands besides."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """State of the database."""

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


async def check_postgres(settings: DatabaseSettings) -> list[Finding]:
    """Check the server and the database; raises StoreError."""
    connect_seconds = settings.connect_timeout_seconds
    database = Database(
        settings.url, connect_seconds, _STATEMENT_SECONDS, Access.LOOK, "notifier doctor"
    )
    state = await inspect(database, now=time.time)
    major, minor = divmod(state.version, 10_000)
    summary = ok(NAME, f"answers at {database.shown}, version {major}.{minor}")
    return [summary, *database_findings(state)]


def database_findings(state: DatabaseState) -> list[Finding]:
    """Judge the state of the database."""
    found: list[Finding] = []
    major = state.version // 10_000
    if major < _OLDEST_MAJOR:
        what = f"version {major} is too old: notifier needs {_OLDEST_MAJOR} or newer"
        found.append(fault(NAME, what, "upgrade Postgres"))
    if state.missing_migrations:
        what = f"the schema lacks {', '.join(state.missing_migrations)}"
        found.append(fault(NAME, what, "run: notifier migrate up"))
    if state.cannot_migrate:
        found.append(fault_of(NAME, f"Postgres {state.cannot_migrate}"))
    if state.read_only:
        what = "it takes no writes (a replica, or default_transaction_read_only)"
        found.append(fault(NAME, what, "set database.url to the primary"))
    if state.daemon_lacks:
        what = f"this user may not {_listed(state.daemon_lacks)}"
        found.append(fault(NAME, what, _grants(state.daemon_lacks)))
    if state.commands_lack:
        what = f"this user may not {_listed(state.commands_lack)}, as the console and the commands need"
        found.append(
            warning(NAME, what, f"{_grants(state.commands_lack)}; or run those as another user")
        )
    return found + clock_findings(NAME, "Postgres", state.ahead_seconds)


def _listed(lacking: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{right} on {table}" for table, right in lacking)


def _grants(lacking: tuple[tuple[str, str], ...]) -> str:
    by_table: dict[str, list[str]] = {}
    for table, right in lacking:
        by_table.setdefault(table, []).append(right)
    return "; ".join(
        f"GRANT {', '.join(rights)} ON {table} TO <user>" for table, rights in by_table.items()
    )
