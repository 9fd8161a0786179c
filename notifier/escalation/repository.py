"""Accepted actions and escalations in Postgres: each unit of work is one transaction under the lock of its event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from notifier.errors import NotifierError, UnreachableError
from notifier.escalation.policy import Step
from notifier.events.action import WORDS, Action
from notifier.events.entry import Priority
from notifier.pipeline.audit_trail import FirstLook
from notifier.store.database import Connection
from notifier.store.errors import REFUSALS
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "repository.sql")


@dataclass(frozen=True, slots=True)
class EventNotification:
    """One notification of an event."""

    id: str
    channel: str
    channels: tuple[str, ...]
    priority: Priority
    lang: str
    correlation_id: str
    event_type: str
    since: datetime
    """When it ended up in its channel, or failed to, by the clocks of the servers."""
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None
    summary: str | None
    traceparent: str | None
    drives: bool = False
    """Whether the scheduler looks at the event because of this row."""

    @property
    def acknowledged(self) -> bool:
        """Tell whether somebody took it; escalating it by hand passes it on."""
        return self.acknowledged_at is not None and self.action_taken != "escalate"


@dataclass(frozen=True, slots=True)
class EventStep:
    """One step, and who answered it."""

    step: Step
    id: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None

    @property
    def acknowledged(self) -> bool:
        """Tell whether somebody took it."""
        return self.acknowledged_at is not None and self.action_taken != "escalate"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with its notifications and its escalations."""

    stream: str
    event_id: str
    notifications: tuple[EventNotification, ...]
    steps: tuple[EventStep, ...]

    @property
    def acknowledgement(self) -> EventNotification | EventStep | None:
        """Return whoever answered first, as far as Postgres knows."""
        members: list[EventNotification | EventStep] = [*self.notifications, *self.steps]
        answered = [each for each in members if each.acknowledged]
        return min(answered, key=lambda each: str(each.acknowledged_at), default=None)


@dataclass(frozen=True, slots=True)
class DueRow:
    """A row that the scheduler looks at, and the event that it is looked at for."""

    id: str
    stream: str
    event_id: str
    is_escalation: bool


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step to be written down."""

    event: RecordedEvent
    step: Step
    cause: str
    notification_id: str
    escalation_id: str
    who: str | None


@dataclass(frozen=True, slots=True)
class PlanPage:
    """How far planning rows again has come."""

    at: str = "-infinity"
    id: str = "00000000-0000-0000-0000-000000000000"


class UnreadableRowError(NotifierError):
    """A row holds what no version of this program writes, such as an endless time."""


class RowError(NotifierError):
    """One row cannot be worked on, for a reason of its own: its cause. Others can."""

    def __init__(self, row_id: str) -> None:
        super().__init__(f"row {row_id} cannot be worked on")
        self.row_id = row_id


@dataclass(frozen=True, slots=True)
class PendingAction:
    """An accepted action whose notification is recorded."""

    action: Action
    channel: str
    event_type: str
    correlation_id: str
    lang: str
    summary: str | None
    priority: str
    sent_at: datetime
    event: RecordedEvent
    traceparent: str | None


class EscalationRepository:
    """Not for use by two tasks at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def accept(self, actions: Sequence[Action]) -> None:
        """Write accepted actions down; safe to repeat. Raises StoreError, or OutcomeError when one of them is refused."""
        async with self._connection.transaction() as connection:
            await _accept(connection, actions)

    @asynccontextmanager
    async def pending_action(
        self, *, without: Collection[str] = ()
    ) -> AsyncIterator[tuple[PendingAction, Transaction] | None]:
        """Hold one action that is to be applied, until the body ends. None: there is none but those `without` which.

        Raises:
            StoreError: Postgres is away.
            RowError: Something else failed at this action, also in the body.
        """
        async with self._connection.transaction() as connection:
            values = {"limit": 1, "words": sorted(WORDS), "without": list(without)}
            row = await _one(connection, "waiting", values)
            if row is None:
                yield None
                return
            try:
                action = Action(row[0], row[1], row[2], row[3], row[4], row[5])
                event = await self._event_of(connection, action.notification_id, row[6], row[7])
                waiting = PendingAction(
                    action,
                    row[10],
                    row[8],
                    row[9],
                    row[13],
                    row[15],
                    row[12],
                    row[14],
                    event,
                    row[16],
                )
                yield waiting, await _work(connection)
            except UnreachableError:
                raise
            except Exception as exc:
                if isinstance(exc, psycopg.Error) and not isinstance(exc, REFUSALS):
                    raise
                raise RowError(row[0]) from exc

    @asynccontextmanager
    async def due(self, limit: int) -> AsyncIterator[tuple[list[DueRow], Transaction]]:
        """Hold rows that the scheduler is to look at, until the body ends; urgent ones first.

        Rows that another process holds are passed over.

        Raises:
            StoreError: Postgres is away.
        """
        async with self._connection.transaction() as connection:
            found = await _all(connection, "due", {"limit": limit})
            yield [DueRow(*row) for row in found], await _work(connection)

    async def put_off(self, row_id: str, seconds: float) -> None:
        """Look at a row later; raises StoreError."""
        async with self._connection.transaction() as connection:
            await connection.execute(_QUERIES["put_off"], {"id": row_id, "seconds": seconds})

    async def now(self) -> datetime:
        """Return the time that decides; raises StoreError."""
        async with self._connection.transaction() as connection:
            return (await _work(connection)).now

    async def seconds_to_next(self) -> float | None:
        """Return when the next row is due; None: none waits. Raises StoreError."""
        async with self._connection.transaction() as connection:
            [[seconds]] = await _all(connection, "next_due", {})
            return None if seconds is None else float(seconds)

    async def plan_again(self, look: FirstLook, page: PlanPage, limit: int) -> PlanPage | None:
        """Have rows looked at now that would be looked at later than `look` says; None: there are no more pages.

        Raises:
            StoreError: Postgres is away.
        """
        async with self._connection.transaction() as connection:
            values = {
                "priority": look.priority.value, "latest": look.at, "after_seconds": look.after_seconds,
                "at": page.at, "id": page.id, "limit": limit,
            }  # fmt: skip
            row = await _one(connection, "plan_again", values)
            return PlanPage(*row) if row else None

    async def _event_of(
        self,
        connection: psycopg.AsyncConnection[tuple[Any, ...]],
        notification_id: str,
        stream: str,
        event_id: str,
    ) -> RecordedEvent:
        """Lock and read the event of a notification; of an escalation the event that it escalates."""
        of = await _one(connection, "event_of", {"id": notification_id})
        if of is not None:
            stream, event_id = of
        await connection.execute(
            _QUERIES["lock_event"], {"stream": stream, "event_id": event_id}
        )
        [event] = await _events(connection, [(stream, event_id)])
        return event


class Transaction:
    """What may be done inside a transaction of the ledger."""

    def __init__(
        self, connection: psycopg.AsyncConnection[tuple[Any, ...]], now: datetime
    ) -> None:
        self._connection = connection
        self.now = now
        """The server's time, which decides."""

    async def lock(self, events: Sequence[tuple[str, str]]) -> list[RecordedEvent]:
        """Lock events by stream and id, and read them; those that another process works on are left out.

        Raises:
            UnreadableRowError: A row of one of them holds what cannot be.
        """
        # Waiting here while holding their rows could be a deadlock with who holds an event.
        locked = await _all(self._connection, "try_lock_events", _keys(events))
        held = [event for event, (got,) in zip(events, locked, strict=True) if got]
        return await _events(self._connection, held)

    async def accept(self, actions: Sequence[Action]) -> None:
        """Write actions down that Redis has accepted; safe to repeat."""
        await _accept(self._connection, actions)

    async def apply(self, waiting: PendingAction) -> bool:
        """Write the action into its row; False when the row was taken in another way before."""
        action = waiting.action
        data = {"via": str(action.via)} | ({"note": action.note} if action.note else {})
        values = action.fields() | {
            "data": json.dumps(data, ensure_ascii=False),
            "stream": waiting.event.stream,
            "event_id": waiting.event.event_id,
        }
        first = await _one(self._connection, "apply", values) is not None
        if first and action.action != "escalate":
            await self._connection.execute(_QUERIES["acknowledge_event"], values)
        await self._connection.execute(_QUERIES["applied"], values)
        return first

    async def add_steps(self, steps: Sequence[NewStep]) -> set[str]:
        """Write steps down; returns the ids of the escalations that were not taken already."""
        if not steps:
            return set()
        values = [
            {
                "stream": each.event.stream, "event_id": each.event.event_id, "step": each.step.number,
                "channel": each.step.channel, "cause": each.cause, "notification_id": each.notification_id,
                "escalation_id": each.escalation_id, "who": each.who, "at": each.step.at.isoformat(),
            }
            for each in steps
        ]  # fmt: skip
        with _row_at_fault():
            taken = await _all(self._connection, "add_steps", {"steps": Jsonb(values)})
        return {str(row[0]) for row in taken}

    async def set_next_checks(self, looks: Mapping[str, datetime | None]) -> None:
        """Set when the scheduler looks at rows next; None: not any more."""
        if looks:
            values = {"ids": list(looks), "ats": list(looks.values())}
            with _row_at_fault():
                await self._connection.execute(_QUERIES["set_next_checks"], values)

    async def copy_acknowledgement(
        self, row_id: str, answer: EventNotification | EventStep
    ) -> None:
        """Copy an answer to the row of an escalation."""
        values = {
            "id": row_id, "who": answer.acknowledged_by, "at": answer.acknowledged_at,
            "action": answer.action_taken,
        }  # fmt: skip
        await self._connection.execute(_QUERIES["copy_acknowledgement"], values)


async def _accept(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], actions: Sequence[Action]
) -> None:
    for action in actions:
        await connection.execute(_QUERIES["accept"], action.fields())


@contextmanager
def _row_at_fault() -> Iterator[None]:
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError, ValueError) as exc:
        # The driver's text quotes values; the class says enough.
        raise UnreadableRowError(type(exc).__name__) from None


async def _work(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> Transaction:
    [[now]] = await _all(connection, "clock", {})
    return Transaction(connection, now)


async def _events(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], events: Sequence[tuple[str, str]]
) -> list[RecordedEvent]:
    if not events:
        return []
    notifications: list[list[EventNotification]] = [[] for _ in events]
    steps: list[list[EventStep]] = [[] for _ in events]
    with _row_at_fault():
        for number, *row in await _all(connection, "notifications", _keys(events)):
            channels = tuple(row[2]) or (row[1],)
            original = EventNotification(row[0], row[1], channels, Priority(row[3]), *row[4:])
            notifications[number - 1].append(original)
        for number, *row in await _all(connection, "steps", _keys(events)):
            steps[number - 1].append(EventStep(Step(row[0], row[1], row[2]), *row[3:]))
    return [
        RecordedEvent(stream, event_id, tuple(notifications[number]), tuple(steps[number]))
        for number, (stream, event_id) in enumerate(events)
    ]


def _keys(events: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {
        "streams": [stream for stream, _ in events],
        "event_ids": [event_id for _, event_id in events],
    }


async def _all(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], query: str, values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_QUERIES[query], values)).fetchall()


async def _one(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], query: str, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    return await (await connection.execute(_QUERIES[query], values)).fetchone()
