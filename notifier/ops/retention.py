"""Audit retention: rows that are older than they have to be kept go, by the clock of Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg

from notifier.config import mask_url
from notifier.errors import StoreError
from notifier.store.database import Access, Rows, open_connection
from notifier.store.errors import command_error
from notifier.store.queries import load_queries

T = TypeVar("T")

_QUERIES = load_queries(__package__, "prune.sql")
_BATCH = 5_000
_FARTHEST = timedelta(minutes=1)
"""How far two clocks may be apart; nobody knows which of them is right."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days rows are kept after their notification ended."""

    days: int
    critical_days: int


def count_old(
    url: str,
    retention: Retention,
    *,
    now: Callable[[], datetime],
    connect_seconds: float,
    statement_seconds: float,
) -> tuple[int, int]:
    """Return how many rows are old: ordinary and critical ones. As prune."""

    async def count(connection: Rows) -> tuple[int, int]:
        parameters = await _parameters(connection, url, retention, now)
        row = await (await connection.execute(_QUERIES["count"], parameters)).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    return asyncio.run(_connected(url, Access.READ, connect_seconds, statement_seconds, count))


def prune(
    url: str,
    retention: Retention,
    *,
    now: Callable[[], datetime],
    connect_seconds: float,
    statement_seconds: float,
) -> int:
    """Delete old rows batch by batch, each in a transaction of its own; returns how many.

    Args:
        url: Where Postgres is.
        retention: How long rows are kept.
        now: This machine's clock, only compared.
        connect_seconds: Longest wait for a connection.
        statement_seconds: Longest run of one batch.

    Raises:
        StoreError: Postgres is away or refuses, or its clock and ours differ; then nothing is deleted.
        SchemaError: The schema is older than this version.
    """

    async def delete(connection: Rows) -> int:
        parameters = await _parameters(connection, url, retention, now)
        gone = 0
        while True:
            batch = (await connection.execute(_QUERIES["prune"], parameters)).rowcount
            gone += batch
            if batch < _BATCH:
                break
        for query in ("prune_actions", "prune_taken", "prune_escalations"):
            await connection.execute(_QUERIES[query], parameters)
        return gone

    return asyncio.run(
        _connected(url, Access.WRITE, connect_seconds, statement_seconds, delete)
    )


async def _connected(
    url: str,
    access: Access,
    connect_seconds: float,
    statement_seconds: float,
    work: Callable[[Rows], Coroutine[Any, Any, T]],
) -> T:
    try:
        connection = await open_connection(
            url,
            name="notifier prune",
            connect_seconds=connect_seconds,
            statement_seconds=statement_seconds,
            access=access,
        )
        try:
            return await work(connection)
        finally:
            await connection.close()
    except psycopg.Error as exc:
        raise command_error(url, exc) from None


async def _parameters(
    connection: Rows, url: str, retention: Retention, now: Callable[[], datetime]
) -> dict[str, object]:
    """Return the parameters of the queries; raises StoreError when the clocks differ."""
    row = await (await connection.execute(_QUERIES["clock"])).fetchone()
    assert row is not None  # noqa: S101 - such a query has one row
    clock: datetime = row[0]
    ours = now()
    if abs(clock - ours) > _FARTHEST:
        raise StoreError(
            f"the clock of Postgres at {mask_url(url)} says {clock:%Y-%m-%d %H:%M:%S}, this machine's {ours:%Y-%m-%d %H:%M:%S} (UTC),"
            " so nothing was deleted; let both follow NTP, and try again"
        )
    return {
        "before": clock - timedelta(days=retention.days),
        "critical_before": clock - timedelta(days=retention.critical_days),
        "batch": _BATCH,
    }
