"""The audit trail: record outcomes, and refuse to work on an older schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.errors import SchemaError
from notifier.events.entry import Priority
from notifier.events.json import to_json_bytes, without_nul
from notifier.store.database import (
    Database,
    KeptConnection,
    json_parameter,
    load_queries,
)
from notifier.store.migrations import missing_migrations

_QUERIES = load_queries(__package__, "queries.sql")


@dataclass(frozen=True, slots=True)
class FirstCheck:
    """When new rows of one priority are checked: after a time, or at a moment."""

    priority: Priority
    after_seconds: float | None = None
    at: datetime | None = None

    def fields(self) -> dict[str, str | float | None]:
        """Return it as JSON."""
        at = self.at.isoformat() if self.at else None
        return {"priority": self.priority.value, "after_seconds": self.after_seconds, "at": at}


class AuditTrail:
    """Writes outcomes over one connection; not for two tasks at once."""

    def __init__(self, database: Database) -> None:
        self._connection = KeptConnection(database)

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        await self._connection.close()

    async def check_schema(self) -> None:
        """Check that all migrations that this version needs are applied.

        Raises:
            SchemaError: One is missing.
            StoreError: Postgres is away.
        """
        async with self._connection.use() as connection:
            missing = await missing_migrations(connection)
        if missing:
            raise SchemaError(
                f"the database at {self._connection.shown} lacks {', '.join(missing)}; run: notifier migrate up"
            )

    async def record(
        self,
        outcomes: Sequence[bytes],
        *,
        store_cards: bool,
        arrived: Sequence[float],
        checks: Sequence[FirstCheck],
    ) -> None:
        """Write a batch of outcomes in one transaction; safe to repeat.

        Args:
            outcomes: Each is a JSON text.
            store_cards: Whether the cards are kept.
            arrived: When Redis took each outcome, in Unix seconds.
            checks: When the escalation scheduler checks new rows.

        Raises:
            StoreError: Postgres is away; try the same batch again.
            OutcomeError: Postgres refuses the data of one of them, or all of them together are too much for it.
        """
        array = without_nul(b"[" + b",".join(outcomes) + b"]")
        parameters = {
            "outcomes": json_parameter(array),
            "store_cards": store_cards,
            "arrived": list(arrived),
            "checks": json_parameter(to_json_bytes([check.fields() for check in checks])),
        }
        async with self._connection.use() as connection:
            await connection.run(_QUERIES["record"], parameters)
