"""Looks for events that nobody answered and tells the next channel; safe in many processes and over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, assert_never

import structlog

from notifier.errors import UnreachableError
from notifier.escalation.internal_events import Subject, escalation_event
from notifier.escalation.policy import (
    ESCALATION_TYPE,
    Case,
    Decision,
    Escalate,
    Finished,
    Matrix,
    Step,
    Wait,
    escalation_event_id,
)
from notifier.escalation.repository import EscalationRepository, Transaction
from notifier.escalation.rows import (
    DueRow,
    EventNotification,
    EventStep,
    NewStep,
    PlanPage,
    RecordedEvent,
)
from notifier.events.action import ESCALATE, Action, is_recordable
from notifier.events.entry import Priority
from notifier.events.notification import event_key, notification_id
from notifier.pipeline.audit_trail import FirstLook
from notifier.pipeline.stage import sleep_unless_stopped
from notifier.telemetry.logs import log_unforeseen

log = structlog.get_logger(__name__)

_BATCH = 100
_PLANNED_AT_ONCE = 2_000
_LEAST_PAUSE_SECONDS = 0.5
"""What becomes due meanwhile shares a batch."""
_FIRST_LEFT_SECONDS, _LONGEST_LEFT_SECONDS = 15.0, 3600.0
_MOST_LEFT = 1000
_PUT_OFF = timedelta(hours=1)
_CLOCKS_AGREE = timedelta(minutes=1)
_ON_ITS_WAY = timedelta(seconds=30)
"""How long an answer that Redis knows may take to reach Postgres before it is looked for again."""

Publish = Callable[[str, Sequence[Mapping[str, str]]], Awaitable[object]]
"""Add entries to a stream; raises StreamError."""


class AcceptedActions(Protocol):
    """What the scheduler needs of Redis."""

    async def action_words(self, notification_ids: Sequence[str]) -> dict[str, str]:
        """Return the action word by notification, of those that somebody took; raises StreamError."""

    async def actions_on(self, keys: Sequence[str]) -> list[Action]:
        """Return the actions that are known under these ids; raises StreamError."""


class EscalationScheduler:
    """The scheduler of escalations.

    Steps are written down and published, and their rows set to their next look, in one transaction. If a process ends
    between publishing and commit, its steps are taken again under the same event ids, and intake drops the second.
    """

    def __init__(
        self,
        repository: EscalationRepository,
        actions: AcceptedActions,
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
        self._looked = False
        self._plan: list[tuple[FirstLook, PlanPage]] = []
        self._planned: object = None
        self._left: dict[str, float] = {}
        """Rows that made trouble, and for how long they were left the last time."""

    async def step(self) -> None:
        """Look at a batch of rows that are due, then wait, unless more are due.

        Not after the first look, so that it is known at once that it works.
        """
        matrix = self._matrix()
        more = False
        if matrix.enabled:
            more = await self._plan_again(matrix)
            more = await self.look() or more
        if self._looked and not more:
            await sleep_unless_stopped(self._stop, await self._pause_seconds(matrix))
        self._looked = True

    async def _pause_seconds(self, matrix: Matrix) -> float:
        """Return how long to wait: until the next row is due, but no longer than settings say."""
        if not matrix.enabled:
            return matrix.poll_seconds
        following = await self._repository.seconds_to_next()
        if following is None:
            return matrix.poll_seconds
        return min(matrix.poll_seconds, max(_LEAST_PAUSE_SECONDS, following))

    async def look(self) -> bool:
        """Look at the rows that are due, up to a batch; returns whether more may be due.

        A row that makes trouble is noted and left for seconds, at last for an hour; the others go on.

        Raises:
            StoreError: Postgres is away; nothing of the batch has happened.
            StreamError: Redis is away; nothing of the batch is written, and what was published comes again under the same id.
        """
        try:
            return await self._look(_BATCH, [])
        except UnreachableError:
            raise
        except Exception as exc:
            log.info("escalation_batch_split", error=type(exc).__name__)
        for _ in range(_BATCH):
            if not await self._look_at_one():
                return False
        return True

    async def _look_at_one(self) -> bool:
        held: list[str] = []
        try:
            return await self._look(1, held)
        except UnreachableError:
            raise
        except Exception as exc:
            if not held:
                raise
            seconds = self._wait_after_failure(held[0])
            log_unforeseen(
                "escalation_row_left",
                exc,
                notification_id=held[0],
                seconds=seconds,
                fix="it is tried again then; correct its row in teams_notifications",
            )
            await self._repository.put_off(held[0], seconds)
            return True

    def _wait_after_failure(self, row_id: str) -> float:
        """Return for how long a row is left: four times as long as the last time."""
        before = self._left.pop(row_id, _FIRST_LEFT_SECONDS / 4)
        self._left[row_id] = seconds = min(before * 4, _LONGEST_LEFT_SECONDS)
        if len(self._left) > _MOST_LEFT:
            del self._left[next(iter(self._left))]
        return seconds

    async def _look(self, limit: int, held: list[str]) -> bool:
        async with self._repository.due(limit) as (rows, work):
            held += [row.id for row in rows]
            by_event: dict[tuple[str, str], list[DueRow]] = {}
            for row in rows:
                by_event.setdefault((row.stream, row.event_id), []).append(row)
            events = await work.lock(list(by_event))
            due = [(event, by_event[event.stream, event.event_id]) for event in events]
            await self._decide(due, work)
        # Rows of events that another process works on stay due: looking at once would meet them again.
        return len(rows) == limit and bool(due)

    async def _decide(
        self, due: Sequence[tuple[RecordedEvent, list[DueRow]]], work: Transaction
    ) -> None:
        matrix = self._matrix()
        looks: dict[str, datetime | None] = {}
        escalating: list[tuple[RecordedEvent, list[DueRow], Escalate]] = []
        for event, rows in due:
            answer = event.acknowledgement
            for row in rows:
                looks[row.id] = None
                if answer is not None and row.is_escalation:
                    await work.copy_acknowledgement(row.id, answer)
            if answer is not None or not event.notifications:  # answered, or pruned
                continue
            decision = self._decision(matrix, event, work.now)
            match decision:
                case Finished():
                    pass
                case Wait():
                    looks |= _next_look(event, rows, decision.until)
                case Escalate():
                    escalating.append((event, rows, decision))
                case _:
                    assert_never(decision)
        taken = await self._known_to_redis([event for event, _, _ in escalating])
        planned = []
        for event, rows, escalate in escalating:
            known = {each: taken[each] for each in _members(event) if each in taken}
            settled = {each for each, word in known.items() if word != ESCALATE}
            missing = settled | (known.keys() - _recorded(event))
            if missing:
                # A version that could not read it may have dropped the entry that brings it here.
                await work.accept(
                    [
                        each
                        for each in await self._actions.actions_on(sorted(missing))
                        if is_recordable(each)
                    ]
                )
                looks |= _next_look(event, rows, work.now + _ON_ITS_WAY)
                continue
            looks |= _next_look(event, rows, escalate.next_check)
            lead = lead_of(event)
            answer_id = rows[0].id if lead in taken else lead
            step = Step(escalate.step, escalate.channel, work.now)
            planned.append(self._planned_step(event, step, answer_id=answer_id))
        await self._take(work, planned)
        await work.set_next_checks(looks)

    def _decision(self, matrix: Matrix, event: RecordedEvent, now: datetime) -> Decision:
        case = case_of(event)
        if event.notifications[0].event_type == ESCALATION_TYPE:
            # What it escalates is not recorded yet. An escalation itself never escalates.
            forgotten = matrix.forgets(case.since, now)
            return Finished() if forgotten else Wait(now + _ON_ITS_WAY)
        if matrix.forgets(case.since, now) and abs(self._now() - now) > _CLOCKS_AGREE:
            # One of the two clocks is wrong: it must not end what somebody may still wait for.
            return Wait(now + _PUT_OFF)
        return matrix.decide(case, now)

    async def _known_to_redis(self, events: Sequence[RecordedEvent]) -> dict[str, str]:
        members = [member for event in events for member in _members(event)]
        return await self._actions.action_words(members) if members else {}

    async def _plan_again(self, matrix: Matrix) -> bool:
        """Look earlier at rows for which other rules held when they were planned; returns whether there is more to do."""
        if self._planned != matrix.rules_and_hours:
            self._planned = matrix.rules_and_hours
            looks = matrix.first_looks(await self._repository.now())
            self._plan = [(look, PlanPage()) for look in looks]
        if not self._plan:
            return False
        look, page = self._plan[-1]
        further = await self._repository.plan_again(look, page, _PLANNED_AT_ONCE)
        self._plan[-1:] = [(look, further)] if further else []
        return True

    async def escalate_by_hand(
        self, work: Transaction, event: RecordedEvent, notification_id: str, who: str
    ) -> None:
        """Tell the next channel now because a person wants it. Raises StoreError or StreamError."""
        if not event.notifications:
            return
        number, channel = self._matrix().by_hand(case_of(event))
        step = Step(number, channel, work.now)
        planned = self._planned_step(event, step, answer_id="", of=notification_id, who=who)
        await self._take(work, [planned])

    def _planned_step(
        self,
        event: RecordedEvent,
        step: Step,
        *,
        answer_id: str,
        of: str | None = None,
        who: str | None = None,
    ) -> tuple[NewStep, dict[str, str]]:
        """Return a step and the entry that tells its channel."""
        lead, first = lead_of(event), event.notifications[0]
        new = NewStep(
            event,
            step,
            cause="by_hand" if who else "unanswered",
            notification_id=of or answer_id,
            escalation_id=notification_id(
                event.stream, escalation_event_id(lead, step.number), step.channel
            ),
            who=who,
        )
        titles = self._titles()
        told = [*first.channels, *(each.channel for each in event.steps)]
        entry = escalation_event(
            Subject(
                first.event_type,
                first.correlation_id,
                first.lang,
                _summary(event),
                first.traceparent,
            ),
            lead_id=lead,
            answer_id=answer_id,
            event_key=event_key(event.stream, event.event_id),
            step=step.number,
            channel=step.channel,
            by=who,
            priority=Priority(first.priority),
            since=first.since,
            told=[titles.get(name, name) for name in dict.fromkeys(told)],
            at=step.at,
        )
        return new, entry

    async def _take(
        self, work: Transaction, planned: Sequence[tuple[NewStep, dict[str, str]]]
    ) -> None:
        """Write steps down and publish those that nobody took before."""
        taken = await work.add_steps([new for new, _ in planned])
        entries: dict[str, list[dict[str, str]]] = {}
        for new, entry in planned:
            if new.escalation_id in taken:
                entries.setdefault(new.event.stream, []).append(entry)
        for stream, of_it in entries.items():
            await self._publish(stream, of_it)
        for new, _ in planned:
            if new.escalation_id not in taken:
                continue
            log.info(
                "event_escalated",
                event_id=new.event.event_id,
                correlation_id=new.event.notifications[0].correlation_id,
                step=new.step.number,
                channel=new.step.channel,
                cause=new.cause,
            )


def case_of(event: RecordedEvent) -> Case:
    """Return the case that an event's rows make; it has at least one notification."""
    first = event.notifications[0]
    steps = tuple(each.step for each in event.steps)
    return Case(
        Priority(first.priority),
        first.since,
        first.channels,
        steps,
        acknowledged=event.acknowledgement is not None,
    )


def lead_of(event: RecordedEvent) -> str:
    """Return the id of the event's first notification, which may not be recorded yet."""
    return notification_id(event.stream, event.event_id, event.notifications[0].channels[0])


def _next_look(
    event: RecordedEvent, rows: Sequence[DueRow], at: datetime
) -> dict[str, datetime | None]:
    """Return when to look at the rows of one event next: one of them drives it on."""
    looks: dict[str, datetime | None] = {row.id: None for row in rows}
    driver = next((row for row in rows if not row.is_escalation), None)
    if driver is None and not any(
        each.drives and each.id not in looks for each in event.notifications
    ):
        driver = rows[0]
    if driver is not None:
        looks[driver.id] = at
    return looks


def _members(event: RecordedEvent) -> list[str]:
    channels = event.notifications[0].channels
    notifications = [notification_id(event.stream, event.event_id, name) for name in channels]
    return [*notifications, *(each.id for each in event.steps)]


def _recorded(event: RecordedEvent) -> set[str]:
    """Return the members whose action Postgres knows."""
    members: list[EventNotification | EventStep] = [*event.notifications, *event.steps]
    return {each.id for each in members if each.acknowledged_at is not None}


def _summary(event: RecordedEvent) -> str | None:
    return next((each.summary for each in event.notifications if each.summary), None)
