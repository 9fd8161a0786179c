"""Accepted actions and escalations in Postgres: each unit of work is one transaction under the lock of its event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from notifier.actions import Action, Via
from notifier.escalation import Step
from notifier.events import Priority
from notifier.store.connection import Connection
from notifier.store.queries import load_queries

_QUERIES = load_queries("actions.sql") | load_queries("escalations.sql")


@dataclass(frozen=True, slots=True)
class Original:
    """One notification of an event."""

    id: str
    channel: str
    channels: tuple[str, ...]
    priority: Priority
    lang: str
    correlation_id: str
    event_type: str
    sent_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None
    summary: str | None
    traceparent: str | None

    @property
    def answered(self) -> bool:
        """Tell whether somebody took it; escalating it by hand passes it on."""
        return self.acknowledged_at is not None and self.action_taken != "escalate"


@dataclass(frozen=True, slots=True)
class Told:
    """One step, and who answered it."""

    step: Step
    id: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None

    @property
    def answered(self) -> bool:
        """Tell whether somebody took it."""
        return self.acknowledged_at is not None and self.action_taken != "escalate"


@dataclass(frozen=True, slots=True)
class Family:
    """An event with its notifications and its escalations."""

    stream: str
    event_id: str
    originals: tuple[Original, ...]
    steps: tuple[Told, ...]

    @property
    def answer(self) -> Original | Told | None:
        """Return whoever answered first, as far as Postgres knows."""
        members: list[Original | Told] = [*self.originals, *self.steps]
        answered = [each for each in members if each.answered]
        return min(answered, key=lambda each: str(each.acknowledged_at), default=None)


@dataclass(frozen=True, slots=True)
class DueRow:
    """A notification that the scheduler looks at."""

    id: str
    is_escalation: bool
    family: Family


@dataclass(frozen=True, slots=True)
class WaitingAction:
    """An accepted action whose notification is recorded."""

    action: Action
    channel: str
    event_type: str
    correlation_id: str
    lang: str
    summary: str | None
    priority: str
    sent_at: datetime
    family: Family
    traceparent: str | None


class Ledger:
    """Not for use by two tasks at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def accept(self, actions: Sequence[Action]) -> None:
        """Write accepted actions down; safe to repeat. Raises StoreError."""
        async with self._connection.transaction() as connection:
            for action in actions:
                await connection.execute(_QUERIES["accept"], action.fields())

    @asynccontextmanager
    async def waiting_action(self) -> AsyncIterator[tuple[WaitingAction, Work] | None]:
        """Hold one action that is to be applied, until the body ends. None: there is none. Raises StoreError."""
        async with self._connection.transaction() as connection:
            row = await _one(connection, "waiting", {"limit": 1})
            if row is None:
                yield None
                return
            action = Action(row[0], row[1], row[2], row[3], Via(row[4]), row[5])
            family = await self._family_of(connection, action.notification_id, row[6], row[7])
            waiting = WaitingAction(
                action,
                row[10],
                row[8],
                row[9],
                row[13],
                row[15],
                row[12],
                row[14],
                family,
                row[16],
            )
            yield waiting, Work(connection)

    @asynccontextmanager
    async def due_row(self, now: datetime) -> AsyncIterator[tuple[DueRow, Work] | None]:
        """Hold one row that the scheduler is to look at, until the body ends.

        None: there is none, or another process works on its event.

        Raises:
            StoreError: Postgres is away.
        """
        async with self._connection.transaction() as connection:
            row = await _one(connection, "due", {"now": now, "limit": 1})
            if row is None:
                yield None
                return
            key = {"stream": row[3], "event_id": row[4]}
            locked = await _one(connection, "try_lock_event", key)
            if not (locked and locked[0]):
                # Waiting here while holding the row could be a deadlock with who holds the event.
                yield None
                return
            family = await _family(connection, row[3], row[4])
            yield DueRow(row[0], row[5], family), Work(connection)

    async def _family_of(
        self,
        connection: psycopg.AsyncConnection[tuple[Any, ...]],
        notification_id: str,
        stream: str,
        event_id: str,
    ) -> Family:
        """Lock and read the event of a notification; of an escalation the event that it escalates."""
        of = await _one(connection, "family_of", {"id": notification_id})
        if of is not None:
            stream, event_id = of
        await connection.execute(
            _QUERIES["lock_event"], {"stream": stream, "event_id": event_id}
        )
        return await _family(connection, stream, event_id)


class Work:
    """What may be done inside a transaction of the ledger."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        self._connection = connection

    async def apply(self, waiting: WaitingAction) -> bool:
        """Write the action into its row; False when the row was taken in another way before."""
        action = waiting.action
        data = {"via": action.via.value} | ({"note": action.note} if action.note else {})
        values = action.fields() | {
            "data": json.dumps(data, ensure_ascii=False),
            "stream": waiting.family.stream,
            "event_id": waiting.family.event_id,
        }
        first = await _one(self._connection, "apply", values) is not None
        if first and action.action != "escalate":
            await self._connection.execute(_QUERIES["answer_family"], values)
        await self._connection.execute(_QUERIES["applied"], values)
        return first

    async def take_step(
        self,
        family: Family,
        step: Step,
        *,
        cause: str,
        notification_id: str,
        escalation_id: str,
        who: str | None,
    ) -> bool:
        """Write a step down; False when it is taken already."""
        values = {
            "stream": family.stream, "event_id": family.event_id, "step": step.number, "channel": step.channel,
            "cause": cause, "notification_id": notification_id, "escalation_id": escalation_id, "who": who, "at": step.at,
        }  # fmt: skip
        return await _one(self._connection, "step", values) is not None

    async def look_again(self, row_id: str, at: datetime | None) -> None:
        """Set when the scheduler looks at a row next; None: not any more."""
        await self._connection.execute(_QUERIES["look_again"], {"id": row_id, "at": at})

    async def answered(self, row_id: str, answer: Original | Told) -> None:
        """Copy an answer to the row of an escalation."""
        values = {
            "id": row_id, "who": answer.acknowledged_by, "at": answer.acknowledged_at,
            "action": answer.action_taken,
        }  # fmt: skip
        await self._connection.execute(_QUERIES["answered"], values)


async def _family(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], stream: str, event_id: str
) -> Family:
    key = {"stream": stream, "event_id": event_id}
    originals = await (await connection.execute(_QUERIES["originals"], key)).fetchall()
    steps = await (await connection.execute(_QUERIES["steps"], key)).fetchall()
    return Family(
        stream,
        event_id,
        tuple(
            Original(row[0], row[1], tuple(row[2]) or (row[1],), Priority(row[3]), *row[4:])
            for row in originals
        ),
        tuple(Told(Step(row[0], row[1], row[2]), *row[3:]) for row in steps),
    )


async def _one(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], query: str, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    return await (await connection.execute(_QUERIES[query], values)).fetchone()
