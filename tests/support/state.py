"""Read entries, rows and dead letters from Redis and Postgres."""

from __future__ import annotations

import atexit
from functools import lru_cache
from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row

from notifier.broker.keys import Keys

KEYS = Keys("teams:events")


LANES = [
    KEYS.lane(c, urgent=u)
    for c in ("sre", "devops", "nphies_integration", "pmo", "compliance")
    for u in (True, False)
]


# Tests look often while they wait, and a connection costs more than a look: the last one of each kind is kept.
@lru_cache(maxsize=1)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


_KEPT: dict[str, psycopg.Connection[dict[str, Any]]] = {}


@atexit.register
def _close() -> None:
    for connection in _KEPT.values():
        connection.close()


def _postgres(url: str) -> psycopg.Connection[dict[str, Any]]:
    if url not in _KEPT or _KEPT[url].closed:
        for connection in _KEPT.values():
            connection.close()
        _KEPT.clear()
        _KEPT[url] = psycopg.connect(url, row_factory=dict_row, autocommit=True)
    return _KEPT[url]


def xadd(redis_url: str, fields: dict[str, Any]) -> str:
    return str(_redis(redis_url).xadd("teams:events", fields))


NOTIFICATIONS = "SELECT * FROM teams_notifications ORDER BY channel"


def rows(database_url: str, query: str = NOTIFICATIONS) -> list[dict[str, Any]]:
    try:
        return _postgres(database_url).execute(query.encode()).fetchall()
    except psycopg.OperationalError:
        _KEPT.pop(database_url).close()  # the server was restarted since
        return _postgres(database_url).execute(query.encode()).fetchall()


def dead(redis_url: str) -> list[dict[str, str]]:
    return [fields for _, fields in _redis(redis_url).xrange(KEYS.dead)]


def lane_length(redis_url: str) -> int:
    return int(_redis(redis_url).xlen(KEYS.lane("sre", urgent=False)))


def left_over(redis_url: str) -> dict[str, int]:
    """Count entries in lanes and outcomes, and pending events."""
    client = _redis(redis_url)
    counts = {key: int(client.xlen(key)) for key in [*LANES, KEYS.outcomes]}
    counts["pending"] = int(client.xpending("teams:events", "notifier")["pending"])
    return {key: count for key, count in counts.items() if count}


def dead_entries(redis_url: str) -> list[tuple[str, dict[str, str]]]:
    """Return id and fields of each dead letter."""
    return list(_redis(redis_url).xrange(KEYS.dead))


def entries(redis_url: str, stream: str = "teams:events") -> list[dict[str, Any]]:
    return [fields for _, fields in _redis(redis_url).xrange(stream)]
