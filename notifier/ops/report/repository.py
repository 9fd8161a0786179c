"""Read the figures of a report from the audit trail, in one snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import psycopg

from notifier.config import mask_url
from notifier.errors import StoreError
from notifier.ops.report.figures import (
    Acknowledged,
    Count,
    Figures,
    Latency,
    Period,
    Slot,
    Unacknowledged,
)
from notifier.store.database import Access, open_connection
from notifier.store.errors import command_error
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "reports.sql")
_Rows = list[tuple[Any, ...]]


def read_figures(
    url: str,
    period: Period,
    *,
    known_types: Collection[str],
    made_at: datetime,
    connect_timeout_seconds: int,
    statement_timeout_seconds: float,
) -> Figures:
    """Read everything that a report shows; changes nothing.

    Args:
        url: Where Postgres is.
        period: What is reported.
        known_types: Event types that are named; the rest is "(others)".
        made_at: Now.
        connect_timeout_seconds: Longest wait for a connection.
        statement_timeout_seconds: Longest wait for one query.

    Raises:
        StoreError: Postgres is away, or takes longer than the timeout for one query.
        SchemaError: The schema is older than this version.
    """
    parameters = {
        "since": period.since, "until": period.until, "slot": period.slot, "time_zone": period.time_zone,
        "known_types": list(known_types),
    }  # fmt: skip

    async def read() -> dict[str, _Rows]:
        connection = await open_connection(
            url,
            name="notifier report",
            connect_seconds=connect_timeout_seconds,
            statement_seconds=statement_timeout_seconds,
            access=Access.READ,
        )
        try:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            async with connection.transaction():
                return {
                    name: await (await connection.execute(query, parameters)).fetchall()
                    for name, query in _QUERIES.items()
                }
        finally:
            await connection.close()

    try:
        return _figures(period, made_at, asyncio.run(read()))
    except psycopg.errors.QueryCanceled:
        raise StoreError(
            f"Postgres at {mask_url(url)} took more than {statement_timeout_seconds:g} s; choose a shorter period, or give --timeout"
        ) from None
    except psycopg.Error as exc:
        raise command_error(url, exc) from None


def _figures(period: Period, made_at: datetime, answers: Mapping[str, _Rows]) -> Figures:
    counts, latency, taken = answers["counts"], answers["latency"], answers["acknowledgements"]
    every = next((each for each in _counts(counts, "all")), Count("", 0, 0, 0))
    of_all = _latencies(latency, "all")
    [(waiting, oldest)] = answers["unacknowledged_critical"]
    people = answers["people"]
    return Figures(
        period=period,
        made_at=made_at,
        all=every,
        by_event_type=_counts(counts, "event_type"),
        by_channel=_counts(counts, "channel"),
        by_priority=_counts(counts, "priority"),
        dead_letters=tuple((row[0], row[1]) for row in answers["dead_letters"]),
        latency=of_all[0] if of_all else None,
        latency_by_channel=_latencies(latency, "channel"),
        acknowledged=tuple(
            Acknowledged(row[1], row[3], row[4], row[5][0], row[5][1], tuple(row[6:]))
            for row in taken
            if row[0] == "priority"
        ),
        unacknowledged=Unacknowledged(waiting, oldest),
        actions=_named(people, "action"),
        escalations=_named(people, "escalation"),
        dead_letter_actions=_named(people, "dead letter"),
        trend=_trend(period, counts, latency, taken),
    )


def _counts(rows: _Rows, grouped_by: str) -> tuple[Count, ...]:
    found = [row for row in rows if row[0] == grouped_by]
    return tuple(Count(row[1], *row[3:6]) for row in found if row[3])


def _latencies(rows: _Rows, grouped_by: str) -> tuple[Latency, ...]:
    return tuple(
        Latency(row[1], row[3], *row[4]) for row in rows if row[0] == grouped_by and row[3]
    )


def _named(rows: _Rows, kind: str) -> tuple[tuple[str, int], ...]:
    return tuple((row[1], row[2]) for row in rows if row[0] == kind)


def _trend(period: Period, counts: _Rows, latency: _Rows, taken: _Rows) -> tuple[Slot, ...]:
    """Join the steps of three queries; those in which nothing ended are there too."""
    ended = {row[2]: (row[3], row[4]) for row in counts if row[0] == "slot"}
    p95 = {row[2]: row[4][1] for row in latency if row[0] == "slot"}
    average = {row[2]: row[4] for row in taken if row[0] == "slot"}
    return tuple(
        Slot(start, *ended.get(start, (0, 0)), p95.get(start), average.get(start))
        for start in period.starts()
    )
