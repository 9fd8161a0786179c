"""Read and write actions and escalations in Postgres.

Each unit of work is one transaction under the lock of its event.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from notifier.errors import NotifierError, UnreachableError
from notifier.escalation.rows import (
    DueRow,
    EventNotification,
    EventStep,
    NewStep,
    NotificationFacts,
    PendingAction,
    PlanPage,
    RecordedEvent,
    Unacknowledged,
)
from notifier.events.action import ESCALATE, WORDS, Action
from notifier.events.json import to_json_bytes
from notifier.pipeline.recorder import FirstCheck
from notifier.store.database import (
    Connect,
    Connection,
    KeptConnection,
    json_parameter,
    load_queries,
)
from notifier.store.errors import REFUSALS, DriverError

_QUERIES = load_queries(__package__, "repository.sql")
_MOST_COUNTED = 1_000


class RowError(NotifierError):
    """One row fails for a reason of its own, its cause; others may work."""

    def __init__(self, row_id: str) -> None:
        super().__init__(f"row {row_id} cannot be worked on")
        self.row_id = row_id


@dataclass(frozen=True, slots=True)
class _EventKey:
    stream: str
    event_id: str


class EscalationRepository:
    """Not for use by two tasks at once."""

    def __init__(self, connection: KeptConnection) -> None:
        self._connection = connection

    async def accept(self, actions: Sequence[Action]) -> None:
        """Record accepted actions; safe to repeat.

        Raises:
            StoreError: Postgres is away.
            OutcomeError: It refuses one of them.
        """
        async with self._connection.transaction() as connection:
            await _accept(connection, actions)

    @asynccontextmanager
    async def pending_action(
        self, *, without: Collection[str] = ()
    ) -> AsyncIterator[tuple[PendingAction, RecordedEvent, Transaction] | None]:
        """Lock an action to apply, and its event, until the body ends.

        Gives None if there is none except those of `without`.

        Raises:
            StoreError: Postgres is away.
            RowError: Something else failed at this action, also in the body.
        """
        async with self._connection.transaction() as connection:
            values = {"words": sorted(WORDS), "without": list(without)}
            pending = await connection.fetch_one(PendingAction, _QUERIES["pending"], values)
            if pending is None:
                yield None
                return
            try:
                event = await _event_of(connection, pending)
                yield pending, event, await _transaction(connection)
            except Exception as exc:
                away = isinstance(exc, UnreachableError | DriverError)
                if away and not isinstance(exc, REFUSALS):
                    raise
                raise RowError(pending.notification_id) from exc

    @asynccontextmanager
    async def due(self, limit: int) -> AsyncIterator[tuple[list[DueRow], Transaction]]:
        """Lock due rows until the body ends, urgent ones first.

        Rows that another process has locked are skipped.

        Raises:
            StoreError: Postgres is away.
        """
        async with self._connection.transaction() as connection:
            rows = await connection.fetch(DueRow, _QUERIES["due"], {"limit": limit})
            yield rows, await _transaction(connection)

    async def put_off(self, row_id: str, seconds: float) -> None:
        """Check a row later; raises StoreError."""
        async with self._connection.use() as connection:
            await connection.run(_QUERIES["put_off"], {"id": row_id, "seconds": seconds})

    async def now(self) -> datetime:
        """Return the time that decides; raises StoreError."""
        async with self._connection.use() as connection:
            return (await _transaction(connection)).now

    async def seconds_to_next(self) -> float | None:
        """Return when the next row is due; None: none waits. Raises StoreError."""
        async with self._connection.use() as connection:
            seconds: float | None = await connection.fetch_value(_QUERIES["next_due"])
            return seconds

    async def plan_again(
        self, check: FirstCheck, page: PlanPage, limit: int
    ) -> PlanPage | None:
        """Make rows due that would be checked later than `check` says.

        Returns the next page; None: this was the last.

        Raises:
            StoreError: Postgres is away.
        """
        values = {
            "priority": check.priority.value, "latest": check.at, "after_seconds": check.after_seconds,
            "at": page.at, "id": page.id, "limit": limit,
        }  # fmt: skip
        async with self._connection.use() as connection:
            return await connection.fetch_one(PlanPage, _QUERIES["plan_again"], values)


class Transaction:
    """One unit of work: commits or is undone as a whole."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now
        """The server's time, which decides."""

    async def lock(self, events: Sequence[tuple[str, str]]) -> list[RecordedEvent]:
        """Lock and read events by stream and id.

        Events that another process works on are left out.
        """
        # Waiting here while holding their rows could be a deadlock with a process that holds an event.
        locked = await self._connection.fetch_values(_QUERIES["try_lock_events"], _keys(events))
        held = [event for event, got in zip(events, locked, strict=True) if got]
        return await _events(self._connection, held)

    async def accept(self, actions: Sequence[Action]) -> None:
        """Record actions that Redis has accepted; safe to repeat."""
        await _accept(self._connection, actions)

    async def apply(self, action: Action, event: RecordedEvent) -> bool:
        """Write an action into its row; False: another action was first."""
        data = {"via": str(action.via)} | ({"note": action.note} if action.note else {})
        values = action.fields() | {
            "data": json.dumps(data, ensure_ascii=False),
            "stream": event.stream,
            "event_id": event.event_id,
        }
        first = await self._connection.run(_QUERIES["apply"], values) > 0
        if first and action.action != ESCALATE:
            await self._connection.run(_QUERIES["acknowledge_event"], values)
        await self._connection.run(_QUERIES["applied"], values)
        return first

    async def add_steps(self, steps: Sequence[NewStep]) -> set[str]:
        """Record steps; returns the ids of the escalations that are new."""
        if not steps:
            return set()
        values = [
            {
                "stream": each.event.stream, "event_id": each.event.event_id, "step": each.step.number,
                "channel": each.step.channel, "cause": each.cause, "notification_id": each.notification_id,
                "escalation_id": each.escalation_id, "who": each.who, "at": each.step.at,
            }
            for each in steps
        ]  # fmt: skip
        parameters = {"steps": json_parameter(to_json_bytes(values))}
        return set(await self._connection.fetch_values(_QUERIES["add_steps"], parameters))

    async def set_next_checks(self, checks: Mapping[str, datetime | None]) -> None:
        """Set when the scheduler checks rows next; None: never again."""
        if checks:
            values = {"ids": list(checks), "ats": list(checks.values())}
            await self._connection.run(_QUERIES["set_next_checks"], values)

    async def copy_acknowledgement(
        self, row_id: str, member: EventNotification | EventStep
    ) -> None:
        """Copy the acknowledgement of a member to the row of an escalation."""
        values = {
            "id": row_id, "who": member.acknowledged_by, "at": member.acknowledged_at,
            "action": member.action_taken,
        }  # fmt: skip
        await self._connection.run(_QUERIES["copy_acknowledgement"], values)


class FactsRepository:
    """Reads what action pages show; safe to use from many tasks."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def facts(self, notification_id: str) -> NotificationFacts | None:
        """Return the facts; None: not recorded (yet). Raises StoreError."""
        async with self._connect() as connection:
            return await connection.fetch_one(
                NotificationFacts, _QUERIES["facts"], {"id": notification_id}
            )


async def unacknowledged_critical(
    connect: Connect, *, within_seconds: float
) -> list[Unacknowledged]:
    """Return the channels with unacknowledged critical notifications.

    Counts at most 1,000 of the last `within_seconds`.

    Raises:
        StoreError: Postgres is away, or its schema is older.
    """
    values = {"within_seconds": within_seconds, "at_most": _MOST_COUNTED}
    async with connect() as connection:
        return await connection.fetch(
            Unacknowledged, _QUERIES["unacknowledged_critical"], values
        )


async def _accept(connection: Connection, actions: Sequence[Action]) -> None:
    for action in actions:
        await connection.run(_QUERIES["accept"], action.fields())


async def _transaction(connection: Connection) -> Transaction:
    return Transaction(connection, await connection.fetch_value(_QUERIES["clock"]))


async def _event_of(connection: Connection, pending: PendingAction) -> RecordedEvent:
    """Lock and read the event that a notification is about.

    For an escalation that is the escalated event.
    """
    found = await connection.fetch_one(
        _EventKey, _QUERIES["event_of"], {"id": pending.notification_id}
    ) or _EventKey(pending.stream, pending.event_id)
    await connection.run(
        _QUERIES["lock_event"], {"stream": found.stream, "event_id": found.event_id}
    )
    [event] = await _events(connection, [(found.stream, found.event_id)])
    return event


async def _events(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> list[RecordedEvent]:
    if not keys:
        return []
    notifications = await connection.fetch(
        EventNotification, _QUERIES["notifications"], _keys(keys)
    )
    steps = await connection.fetch(EventStep, _QUERIES["steps"], _keys(keys))
    return [
        RecordedEvent(
            *key,
            tuple(each for each in notifications if (each.stream, each.event_id) == key),
            tuple(each for each in steps if (each.stream, each.event_id) == key),
        )
        for key in keys
    ]


def _keys(events: Sequence[tuple[str, str]]) -> dict[str, object]:
    return {
        "streams": [stream for stream, _ in events],
        "event_ids": [event_id for _, event_id in events],
    }
