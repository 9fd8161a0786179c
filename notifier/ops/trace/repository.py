"""Rows about an event in Postgres, found by any of its ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from notifier.store.database import Connect, load_queries
from notifier.store.rows import (
    ActionRow,
    AttemptRow,
    DeadLetterActionRow,
    EscalationRow,
    NotificationRow,
)

_QUERIES = load_queries(__package__, "trace.sql")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Notifications, newest first, and what belongs to them."""

    rows: Sequence[NotificationRow] = ()
    attempts: Sequence[AttemptRow] = ()
    actions: Sequence[ActionRow] = ()
    escalations: Sequence[EscalationRow] = ()
    dead_letter_actions: Sequence[DeadLetterActionRow] = ()
    cards: Mapping[str, JsonValue] = field(default_factory=dict)
    """By notification, if they were asked for and kept."""


@dataclass(frozen=True, slots=True)
class _SentCard:
    id: str
    card: JsonValue


class TraceRepository:
    """Finds what is recorded; safe to use from many tasks."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def find(
        self,
        text: str,
        *,
        uuid: str | None,
        event_ids: Sequence[str],
        streams: Sequence[str],
        limit: int,
        cards: bool,
    ) -> Recorded:
        """Return what is recorded under an id.

        Args:
            text: A correlation, claim or dead letter id.
            uuid: The same as a notification, digest or trace id, if it is one.
            event_ids: The same as an event id, and event ids that it means.
            streams: Event streams whose dead letters are meant.
            limit: Rows at most, newest first.
            cards: Whether to read the cards.

        Raises:
            StoreError: Postgres is away, its schema is older, or it takes too long.
        """
        values = {"text": text, "uuid": uuid, "event_ids": list(event_ids), "limit": limit}
        async with self._connect() as connection:
            rows = await connection.fetch(NotificationRow, _QUERIES["rows"], values)
            ids = {"ids": [row.id for row in rows]}
            events = list(dict.fromkeys((row.stream, row.event_id) for row in rows))
            of_events = {
                "streams": [stream for stream, _ in events],
                "event_ids": [event_id for _, event_id in events],
            }
            of_dead_letters = {
                "text": text,
                "streams": list(streams),
                "event_ids": [*event_ids, *of_events["event_ids"]],
                "correlation_ids": [text, *(row.correlation_id for row in rows)],
            }
            sent = await connection.fetch(_SentCard, _QUERIES["cards"], ids) if cards else []
            return Recorded(
                rows,
                await connection.fetch(AttemptRow, _QUERIES["attempts"], ids),
                await connection.fetch(ActionRow, _QUERIES["actions"], ids),
                await connection.fetch(
                    EscalationRow, _QUERIES["escalations"], {**ids, **of_events}
                ),
                await connection.fetch(
                    DeadLetterActionRow, _QUERIES["dead_letter_actions"], of_dead_letters
                ),
                {each.id: each.card for each in sent},
            )
