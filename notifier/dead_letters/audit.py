"""Record who replayed or discarded which dead letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from notifier.errors import OutcomeError, StoreError
from notifier.events.json import to_json_bytes, without_nul
from notifier.store.database import Access, Database, KeptConnection, load_queries

_QUERIES = load_queries(__package__, "dead_letters.sql")
_STATEMENT_SECONDS = 10.0
_COLUMNS = (
    "reason",
    "detail",
    "channel",
    "event_type",
    "event_id",
    "correlation_id",
    "notification_id",
)


class EventIds(NamedTuple):
    """How an event is found again."""

    event_id: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A record, written before an action on a dead letter."""

    values: Mapping[str, object] = field(repr=False)
    first: bool
    """False: an earlier record exists, and stays until this is done."""


class DeadLetterAudit:
    """One connection for one run of a command."""

    def __init__(self, url: str, *, connect_timeout_seconds: float) -> None:
        self._connection = KeptConnection(
            Database(
                url, connect_timeout_seconds, _STATEMENT_SECONDS, Access.WRITE, "notifier dlq"
            )
        )

    async def note(
        self,
        dead_letter: Mapping[str, JsonValue],
        *,
        action: str,
        who: str,
        why: str | None,
        edited: bool = False,
        became: EventIds | None = None,
    ) -> Noted:
        """Record an action before it is done; `settle` it afterwards.

        The dead letter is masked, as DeadLetter.masked gives it.

        Its event is the one that it becomes; the dead letter, kept whole, has the one that it was.

        Raises:
            StoreError: Postgres is away, or its schema is older.
        """
        values: dict[str, object] = {name: dead_letter.get(name) or None for name in _COLUMNS}
        if became is not None:
            values["event_id"] = became.event_id
            values["correlation_id"] = values["correlation_id"] or became.correlation_id
        text = without_nul(to_json_bytes(dead_letter)).decode()
        values |= {
            "stream": dead_letter["stream"], "letter_id": dead_letter["id"], "action": action, "who": who, "why": why,
            "edited": edited, "letter": text,
        }  # fmt: skip
        return Noted(values, bool(await self._run("note", values)))

    async def settle(self, noted: Noted, *, done: bool) -> None:
        """Correct the record, now that it is known whether this was `done`.

        Raises:
            StoreError: Postgres is away; what was done is done.
        """
        if done and not noted.first:
            await self._run(
                "take_over",
                noted.values,
                so="it is done, but its record is that of an earlier try",
            )
        elif noted.first and not done:
            await self._run(
                "withdraw", noted.values, so="another did it, but this try may be recorded too"
            )

    async def delivered(self, notification_ids: Sequence[str], *, since: datetime) -> set[str]:
        """Return those that were delivered since then; raises StoreError."""
        values = {"ids": list(notification_ids), "since": since}
        return set(await self._run("delivered", values))

    async def discarded(self, notifications: Mapping[str, str]) -> set[str]:
        """Return those (id → event id) that were discarded; raises StoreError."""
        values = {"ids": list(notifications), "event_ids": list(set(notifications.values()))}
        return set(await self._run("discarded", values))

    async def _run(
        self, query: str, values: Mapping[str, object], *, so: str = "nothing was done"
    ) -> list[str]:
        try:
            async with self._connection.use() as connection:
                return await connection.fetch_values(_QUERIES[query], values)
        except OutcomeError as exc:
            raise StoreError(f"{so}: {exc}") from None
        except StoreError as exc:
            raise type(exc)(f"{so}: {exc}") from None

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        await self._connection.close()
