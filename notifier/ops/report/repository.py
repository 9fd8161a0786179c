"""Read the figures of a report from the audit trail, in one snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.errors import StatementTimeoutError, StoreError
from notifier.ops.report.figures import (
    Acknowledged,
    Count,
    Figures,
    Latency,
    Period,
    Slot,
    Unacknowledged,
)
from notifier.store.database import Database, load_queries

_QUERIES = load_queries(__package__, "report.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One group of notifications; each query fills its own fields."""

    grouped_by: str
    """Kind of `name`: event type, channel, priority …; empty for slots and totals."""
    name: str
    slot: datetime | None = None
    total: int
    delivered: int = 0
    retried: int = 0
    average: float = 0.0
    percentiles: Sequence[float] = ()
    within: Sequence[int] = ()


def read_figures(
    database: Database, period: Period, *, known_types: Collection[str], made_at: datetime
) -> Figures:
    """Read everything that a report shows; changes nothing.

    Args:
        database: Where the audit trail is.
        period: The period of the report.
        known_types: Event types that are named; the rest is "(others)".
        made_at: Now.

    Raises:
        StoreError: Postgres is away, or takes longer than the limit for one query.
        SchemaError: The schema is older than this version.
    """
    try:
        return asyncio.run(_read(database, period, known_types, made_at))
    except StatementTimeoutError:
        raise StoreError(
            f"Postgres at {database.shown} took more than {database.statement_seconds:g} s; choose a shorter period, or give --timeout"
        ) from None


async def _read(
    database: Database, period: Period, known_types: Collection[str], made_at: datetime
) -> Figures:
    values = {
        "since": period.since, "until": period.until, "slot": period.slot, "time_zone": period.time_zone,
        "known_types": list(known_types),
    }  # fmt: skip
    async with database.connection() as connection, connection.snapshot():
        counts, dead_letters, latencies, acknowledged, people = [
            await connection.fetch(_Row, _QUERIES[query], values)
            for query in ("counts", "dead_letters", "latency", "acknowledgements", "people")
        ]
        unacknowledged = await connection.fetch_one(
            Unacknowledged, _QUERIES["unacknowledged_critical"]
        )
    return Figures(
        period=period,
        made_at=made_at,
        all=next(iter(_counts(counts, "all")), Count("", 0, 0, 0)),
        by_event_type=_counts(counts, "event_type"),
        by_channel=_counts(counts, "channel"),
        by_priority=_counts(counts, "priority"),
        dead_letters=_numbers(dead_letters, "dead_letter"),
        latency=next(iter(_latencies(latencies, "all")), None),
        latency_by_channel=_latencies(latencies, "channel"),
        acknowledged=tuple(
            Acknowledged(row.name, row.total, row.average, row.percentiles[0], row.percentiles[1], tuple(row.within))
            for row in _of(acknowledged, "priority")
        ),
        unacknowledged=unacknowledged or Unacknowledged(0, None),
        actions=_numbers(people, "action"),
        escalations=_numbers(people, "escalation"),
        dead_letter_actions=_numbers(people, "dead letter"),
        trend=_trend(period, counts, latencies, acknowledged),
    )  # fmt: skip


def _of(rows: Sequence[_Row], grouped_by: str) -> list[_Row]:
    return [row for row in rows if row.grouped_by == grouped_by and row.total]


def _counts(rows: Sequence[_Row], grouped_by: str) -> tuple[Count, ...]:
    found = _of(rows, grouped_by)
    return tuple(Count(row.name, row.total, row.delivered, row.retried) for row in found)


def _latencies(rows: Sequence[_Row], grouped_by: str) -> tuple[Latency, ...]:
    return tuple(
        Latency(row.name, row.total, *row.percentiles) for row in _of(rows, grouped_by)
    )


def _numbers(rows: Sequence[_Row], kind: str) -> tuple[tuple[str, int], ...]:
    return tuple((row.name, row.total) for row in _of(rows, kind))


def _trend(
    period: Period,
    counts: Sequence[_Row],
    latencies: Sequence[_Row],
    acknowledged: Sequence[_Row],
) -> tuple[Slot, ...]:
    """Join the slots of three queries, also those without notifications."""
    ended = {row.slot: (row.total, row.delivered) for row in _of(counts, "slot")}
    p95 = {row.slot: row.percentiles[1] for row in _of(latencies, "slot")}
    average = {row.slot: row.average for row in _of(acknowledged, "slot")}
    return tuple(
        Slot(start, *ended.get(start, (0, 0)), p95.get(start), average.get(start))
        for start in period.starts()
    )
