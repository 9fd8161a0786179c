"""Postgres: is it there, has it the schema and the rights, is its clock right?"""

from __future__ import annotations

import time

from notifier.config.models import DatabaseSettings
from notifier.ops.doctor.checks import clock_findings
from notifier.ops.doctor.postgres_inspection import DatabaseState, inspect
from notifier.store.database import Access, Database
from notifier.telemetry.findings import Finding, fault, fault_of, ok, warning

NAME = "postgres"
_OLDEST_MAJOR = 13
_STATEMENT_SECONDS = 5.0


async def check_postgres(settings: DatabaseSettings) -> list[Finding]:
    """Return the findings; raises StoreError."""
    connect_seconds = settings.connect_timeout_seconds
    database = Database(
        settings.url, connect_seconds, _STATEMENT_SECONDS, Access.LOOK, "notifier doctor"
    )
    state = await inspect(database, now=time.time)
    major, minor = divmod(state.version, 10_000)
    summary = ok(NAME, f"answers at {database.shown}, version {major}.{minor}")
    return [summary, *database_findings(state)]


def database_findings(state: DatabaseState) -> list[Finding]:
    """Judge what was found."""
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
