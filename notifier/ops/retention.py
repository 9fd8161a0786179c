"""Delete old audit rows, by the clock of Postgres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifier.config.models import AuditSettings
from notifier.errors import StoreError
from notifier.store.database import Connection, Database, load_queries

_QUERIES = load_queries(__package__, "retention.sql")
_BATCH = 5_000
_MOST_APART = timedelta(minutes=1)
"""If two clocks differ by more, nobody knows which of them is right."""


@dataclass(frozen=True, slots=True)
class OldRows:
    """How many rows are old."""

    ordinary: int
    critical: int


async def count_old(
    database: Database, retention: AuditSettings, *, now: Callable[[], datetime]
) -> OldRows:
    """Return how many rows `prune` would delete; raises as it."""
    async with database.connection() as connection:
        limits = await _limits(connection, database, retention, now)
        return await connection.fetch_one(OldRows, _QUERIES["count"], limits) or OldRows(0, 0)


async def prune(
    database: Database, retention: AuditSettings, *, now: Callable[[], datetime]
) -> int:
    """Delete old rows in batches; returns how many.

    Args:
        database: To be opened for writing; one batch is one statement.
        retention: How many days rows are kept after their notification ended.
        now: This machine's clock, only compared.

    Raises:
        StoreError: Postgres is away or refuses, or its clock and ours differ; then nothing is deleted.
        SchemaError: The schema is older than this version.
    """
    async with database.connection() as connection:
        limits = await _limits(connection, database, retention, now)
        deleted = 0
        while batch := await connection.run(_QUERIES["prune"], limits):
            deleted += batch
            if batch < _BATCH:
                break
        for query in ("prune_actions", "prune_escalations", "prune_dead_letter_actions"):
            await connection.run(_QUERIES[query], limits)
        return deleted


async def _limits(
    connection: Connection,
    database: Database,
    retention: AuditSettings,
    now: Callable[[], datetime],
) -> dict[str, object]:
    """Return the queries' parameters; raises StoreError if clocks differ."""
    clock: datetime = await connection.fetch_value(_QUERIES["clock"])
    ours = now()
    if abs(clock - ours) > _MOST_APART:
        raise StoreError(
            f"the clock of Postgres at {database.shown} says {clock:%Y-%m-%d %H:%M:%S}, this machine's {ours:%Y-%m-%d %H:%M:%S} (UTC),"
            " so nothing was deleted; synchronise both with NTP, and try again"
        )
    return {
        "before": clock - timedelta(days=retention.retention_days),
        "critical_before": clock - timedelta(days=retention.critical_retention_days),
        "batch": _BATCH,
    }
