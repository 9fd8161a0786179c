"""What Postgres alone knows and Prometheus asks for: critical notifications that nobody took."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from notifier.store.database import Connection
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "repository.sql")
_COUNTED_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """What one channel has not answered."""

    channel: str
    count: int
    oldest_seconds: float
    """Since the oldest of them was posted."""


async def unacknowledged_critical(
    connection: Connection, *, within_seconds: float
) -> list[Unacknowledged]:
    """Return the channels with critical notifications of the last `within_seconds` that nobody took, 1,000 of them at most.

    Raises:
        StoreError: Postgres is away, or its schema is older.
    """
    parameters = {"within_seconds": within_seconds, "at_most": _COUNTED_AT_MOST}
    opened = await connection.connected()
    try:
        cursor = await opened.execute(_QUERIES["unacknowledged_critical"], parameters)
        return [Unacknowledged(*row) for row in await cursor.fetchall()]
    except psycopg.Error as exc:
        raise connection.failed(exc) from None
