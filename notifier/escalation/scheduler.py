"""Escalate unacknowledged events; safe in many processes at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from notifier.errors import UnreachableError
from notifier.escalation.actions import Actions
from notifier.escalation.internal_events import escalation_event
from notifier.escalation.policy import (
    ESCALATION_TYPE,
    Decision,
    Escalate,
    Finished,
    Matrix,
    Step,
    Wait,
    escalation_event_id,
)
from notifier.escalation.repository import EscalationRepository, Transaction
from notifier.escalation.rows import DueRow, NewStep, PlanPage, RecordedEvent
from notifier.events.action import ESCALATE, Action, is_recordable
from notifier.events.notification import notification_id
from notifier.pipeline.recorder import FirstCheck
from notifier.telemetry.clock import sleep_unless_stopped
from notifier.telemetry.logs import log_unforeseen

log = structlog.get_logger(__name__)

_BATCH = 100
_PLANNED_AT_ONCE = 2_000
_LEAST_PAUSE_SECONDS = 0.5
"""Rows that become due meanwhile share a batch."""
_FIRST_LEFT_SECONDS, _LONGEST_LEFT_SECONDS = 15.0, 3600.0
_MOST_FAILED = 1000
_PUT_OFF = timedelta(hours=1)
_CLOCKS_AGREE = timedelta(minutes=1)
_ON_ITS_WAY = timedelta(seconds=30)
"""How long an action that Redis knows may take to reach Postgres before it is looked for again."""

Publish = Callable[[str, Sequence[Mapping[str, str]]], Awaitable[object]]
"""Add entries to a stream; raises StreamError."""

Checks = dict[str, datetime | None]
"""When rows are checked next, by id; None: never again."""


class FailedRows:
    """Rows that failed: each is left four times longer, at most an hour."""

    def __init__(self, first_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._left: dict[str, tuple[float, float]] = {}
        """Until when, by the monotonic clock, and for how many seconds."""

    def leave(self, row_id: str) -> float:
        """Leave a row; returns for how many seconds."""
        now = time.monotonic()
        self._left = {
            key: (until, seconds)
            for key, (until, seconds) in self._left.items()
            if until + seconds > now
        }
        _, before = self._left.get(row_id, (0.0, self._first_seconds / 4))
        seconds = min(before * 4, _LONGEST_LEFT_SECONDS)
        self._left[row_id] = now + seconds, seconds
        if len(self._left) > _MOST_FAILED:
            del self._left[next(iter(self._left))]
        return seconds

    @property
    def left(self) -> list[str]:
        """Return the rows that are left now."""
        now = time.monotonic()
        return [row_id for row_id, (until, _) in self._left.items() if until > now]


class EscalationScheduler:
    """Checks the rows that are due.

    Steps are written down and published, and the next checks of their rows set, in one transaction. If a process ends
    between publishing and commit, its steps are added again under the same event ids, and intake drops the second.
    """

    def __init__(
        self,
        repository: EscalationRepository,
        actions: Actions,
        publish: Publish,
        matrix: Callable[[], Matrix],
        *,
        titles: Callable[[], Mapping[str, str]],
        stop: asyncio.Event,
        now: Callable[[], datetime],
    ) -> None:
        self._repository = repository
        self._actions = actions
        self._publish = publish
        self._matrix = matrix
        self._titles = titles
        self._stop = stop
        self._now = now
        self._has_checked = False
        self._plan: list[tuple[FirstCheck, PlanPage]] = []
        self._planned: object = None
        self._failed = FailedRows(_FIRST_LEFT_SECONDS)

    async def step(self) -> None:
        """Check a batch of rows that are due, then wait, unless more are due.

        Does not wait after the first batch, so that the component is soon known to work.
        """
        matrix = self._matrix()
        more = False
        if matrix.enabled:
            more = await self._plan_again(matrix)
            more = await self.check_due() or more
        if self._has_checked and not more:
            await sleep_unless_stopped(self._stop, await self._pause_seconds(matrix))
        self._has_checked = True

    async def _pause_seconds(self, matrix: Matrix) -> float:
        """Return the seconds until the next row is due, or those of settings."""
        following = await self._repository.seconds_to_next() if matrix.enabled else None
        if following is None:
            return matrix.poll_seconds
        return min(matrix.poll_seconds, max(_LEAST_PAUSE_SECONDS, following))

    async def check_due(self) -> bool:
        """Check a batch of due rows; returns whether more may be due.

        A row that fails is logged and left for seconds, in the end for an hour; the others continue.

        Raises:
            StoreError: Postgres is away; nothing of the batch has happened.
            StreamError: Redis is away; nothing of the batch is written. Published events come again under the same id.
        """
        try:
            return await self._check(_BATCH, [])
        except UnreachableError:
            raise
        except Exception as exc:
            log.info("escalation_batch_split", error=type(exc).__name__)
        for _ in range(_BATCH):
            if not await self._check_one():
                return False
        return True

    async def _check_one(self) -> bool:
        locked: list[str] = []
        try:
            return await self._check(1, locked)
        except UnreachableError:
            raise
        except Exception as exc:
            if not locked:
                raise
            seconds = self._failed.leave(locked[0])
            log_unforeseen(
                "escalation_row_left",
                exc,
                notification_id=locked[0],
                seconds=seconds,
                fix="it is tried again then; correct its row in teams_notifications",
            )
            await self._repository.put_off(locked[0], seconds)
            return True

    async def _check(self, limit: int, locked: list[str]) -> bool:
        async with self._repository.due(limit) as (rows, transaction):
            locked += [row.id for row in rows]
            by_event: dict[tuple[str, str], list[DueRow]] = {}
            for row in rows:
                by_event.setdefault((row.stream, row.event_id), []).append(row)
            events = await transaction.lock(list(by_event))
            due = [(event, by_event[event.stream, event.event_id]) for event in events]
            await self._decide(due, transaction)
        # Rows of events that another process works on stay due: a check now would meet them again.
        return len(rows) == limit and bool(due)

    async def _decide(
        self, due: Sequence[tuple[RecordedEvent, list[DueRow]]], transaction: Transaction
    ) -> None:
        matrix, checks = self._matrix(), Checks()
        escalating: list[tuple[RecordedEvent, list[DueRow], Escalate]] = []
        for event, rows in due:
            acknowledgement = event.acknowledgement
            for row in rows:
                checks[row.id] = None
                if acknowledgement is not None and row.is_escalation:
                    await transaction.copy_acknowledgement(row.id, acknowledgement)
            if acknowledgement is not None or not event.notifications:  # pruned
                continue
            decision = self._decision(matrix, event, transaction.now)
            match decision:
                case Finished():
                    pass
                case Wait():
                    checks |= _next_checks(event, rows, decision.until)
                case Escalate():
                    escalating.append((event, rows, decision))
                case _:
                    assert_never(decision)
        members = [member for event, _, _ in escalating for member in event.member_ids]
        known = await self._actions.actions_on(members) if members else {}
        steps = []
        for event, rows, escalate in escalating:
            if missing := _missing(event, known):
                # A version that could not read it may have dropped the entry that brings it here.
                await transaction.accept([each for each in missing if is_recordable(each)])
                checks |= _next_checks(event, rows, transaction.now + _ON_ITS_WAY)
                continue
            checks |= _next_checks(event, rows, escalate.next_check)
            step = Step(escalate.step, escalate.channel, transaction.now)
            about = rows[0].id if event.lead_id in known else event.lead_id
            entry = self._entry(event, step, notification_id=about)
            steps.append((_new_step(event, step, cause="unanswered", of=about), entry))
        await self._add(transaction, steps)
        await transaction.set_next_checks(checks)

    def _decision(self, matrix: Matrix, event: RecordedEvent, now: datetime) -> Decision:
        case = event.case
        if event.notifications[0].event_type == ESCALATION_TYPE:
            # The event that it escalates is not recorded yet. An escalation itself never escalates.
            forgotten = matrix.forgets(case.since, now)
            return Finished() if forgotten else Wait(now + _ON_ITS_WAY)
        if matrix.forgets(case.since, now) and abs(self._now() - now) > _CLOCKS_AGREE:
            # One of the two clocks is wrong: it must not end what somebody may still wait for.
            return Wait(now + _PUT_OFF)
        return matrix.decide(case, now)

    async def _plan_again(self, matrix: Matrix) -> bool:
        """Check rows earlier that were planned under other rules.

        Returns whether there is more to do.
        """
        if self._planned != matrix.rules_and_hours:
            self._planned = matrix.rules_and_hours
            checks = matrix.first_checks(await self._repository.now())
            self._plan = [(check, PlanPage()) for check in checks]
        if not self._plan:
            return False
        check, page = self._plan[-1]
        further = await self._repository.plan_again(check, page, _PLANNED_AT_ONCE)
        self._plan[-1:] = [(check, further)] if further else []
        return True

    async def escalate_by_hand(
        self, transaction: Transaction, event: RecordedEvent, notification_id: str, who: str
    ) -> None:
        """Escalate to the next channel because a person asks for it.

        Raises:
            StoreError: Postgres is away.
            StreamError: Redis is away.
        """
        if not event.notifications:
            return
        number, channel = self._matrix().by_hand(event.case)
        step = Step(number, channel, transaction.now)
        new = _new_step(event, step, cause="by_hand", of=notification_id, who=who)
        await self._add(transaction, [(new, self._entry(event, step, by=who))])

    def _entry(
        self,
        event: RecordedEvent,
        step: Step,
        *,
        notification_id: str = "",
        by: str | None = None,
    ) -> dict[str, str]:
        titles = self._titles()
        names = [*event.notifications[0].channels, *(each.channel for each in event.steps)]
        informed = [titles.get(name, name) for name in dict.fromkeys(names)]
        return escalation_event(
            event, step, notification_id=notification_id, by=by, informed=informed
        )

    async def _add(
        self, transaction: Transaction, steps: Sequence[tuple[NewStep, dict[str, str]]]
    ) -> None:
        """Write steps down and publish the new ones."""
        added = await transaction.add_steps([step for step, _ in steps])
        new = [(step, entry) for step, entry in steps if step.escalation_id in added]
        entries: dict[str, list[dict[str, str]]] = {}
        for step, entry in new:
            entries.setdefault(step.event.stream, []).append(entry)
        for stream, of_stream in entries.items():
            await self._publish(stream, of_stream)
        for step, _ in new:
            log.info(
                "event_escalated",
                event_id=step.event.event_id,
                correlation_id=step.event.notifications[0].correlation_id,
                step=step.step.number,
                channel=step.step.channel,
                cause=step.cause,
            )


def _new_step(
    event: RecordedEvent, step: Step, *, cause: str, of: str, who: str | None = None
) -> NewStep:
    event_id = escalation_event_id(event.lead_id, step.number)
    escalation_id = notification_id(event.stream, event_id, step.channel)
    return NewStep(event, step, cause, of, escalation_id, who)


def _missing(event: RecordedEvent, known: Mapping[str, Action]) -> list[Action]:
    """Return the actions on an event that Redis knows and Postgres does not."""
    recorded = {each.id for each in event.members if each.acknowledged_at is not None}
    return [
        known[each]
        for each in sorted(set(event.member_ids) & known.keys())
        if known[each].action != ESCALATE or each not in recorded
    ]


def _next_checks(event: RecordedEvent, rows: Sequence[DueRow], at: datetime) -> Checks:
    """Return when to check an event's rows next: one of them drives it."""
    checks: Checks = {row.id: None for row in rows}
    driver = next((row for row in rows if not row.is_escalation), None)
    if driver is None and not any(
        each.drives and each.id not in checks for each in event.notifications
    ):
        driver = rows[0]
    if driver is not None:
        checks[driver.id] = at
    return checks
