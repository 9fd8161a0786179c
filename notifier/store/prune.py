"""Audit retention: rows that are older than they have to be kept go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from notifier.store.failures import command_error
from notifier.store.queries import load_queries

_QUERIES = load_queries("prune.sql")
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when rows may go, by when their notification ended."""

    before: datetime
    critical_before: datetime

    def parameters(self) -> dict[str, object]:
        """Return the parameters of the queries."""
        return {
            "before": self.before,
            "critical_before": self.critical_before,
            "batch": _BATCH,
        }


def count_old(url: str, retention: Retention) -> tuple[int, int]:
    """Return how many rows are old: ordinary and critical ones; raises StoreError, or SchemaError when the schema is older."""
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(_QUERIES["count"], retention.parameters()).fetchone()
    except psycopg.Error as exc:
        raise command_error(url, exc) from None
    return (int(row[0]), int(row[1])) if row else (0, 0)


def prune(url: str, retention: Retention) -> int:
    """Delete old rows batch by batch, each in a transaction of its own; returns how many.

    Raises:
        StoreError: Postgres is away or refuses.
        SchemaError: The schema is older than this version.
    """
    gone = 0
    try:
        with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
            while True:
                batch = connection.execute(_QUERIES["prune"], retention.parameters()).rowcount
                gone += batch
                if batch < _BATCH:
                    break
            for query in ("prune_actions", "prune_taken", "prune_escalations"):
                connection.execute(_QUERIES[query], retention.parameters())
    except psycopg.Error as exc:
        raise command_error(url, exc) from None
    return gone
