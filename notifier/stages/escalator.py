"""Looks for events that nobody answered and tells the next channel; safe in many processes and over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, assert_never

import structlog

from notifier.escalation import (
    Case,
    Escalate,
    Finished,
    Matrix,
    Step,
    Wait,
    escalation_event_id,
)
from notifier.notices import Subject, escalation_event
from notifier.notifications import notification_id
from notifier.stages.stage import sleep_unless
from notifier.store.escalations import DueRow, Family, Ledger, Original, Told, Work

log = structlog.get_logger(__name__)

_ROWS_PER_TURN = 200
_ON_ITS_WAY = timedelta(seconds=30)
"""How long an answer that Redis knows may take to reach Postgres before it is looked for again."""

Publish = Callable[[str, Mapping[str, str]], Awaitable[object]]
"""Add an entry to a stream; raises StreamError."""


class TakenActions(Protocol):
    """What the scheduler needs of Redis."""

    async def first_taken(self, notification_ids: Sequence[str]) -> dict[str, str]:
        """Return the action word by notification, of those that somebody took; raises StreamError."""


class Escalator:
    """The scheduler of escalations.

    A step is written down, published and its row set to its next look in one transaction. Ends a process between
    publishing and commit, the step is taken again under the same event id, and intake drops the second.
    """

    def __init__(
        self,
        ledger: Ledger,
        taken: TakenActions,
        publish: Publish,
        matrix: Callable[[], Matrix],
        *,
        titles: Callable[[], Mapping[str, str]],
        stop: asyncio.Event,
        now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._taken = taken
        self._publish = publish
        self._matrix = matrix
        self._titles = titles
        self._stop = stop
        self._now = now
        self._looked = False

    async def turn(self) -> None:
        """Look at every row that is due, then wait; not after the first look, so that it is known at once that it works."""
        matrix = self._matrix()
        if matrix.enabled:
            await self.look()
        if self._looked:
            await sleep_unless(self._stop, matrix.poll_seconds)
        self._looked = True

    async def look(self) -> int:
        """Look at the rows that are due; returns how many there were. Raises StoreError or StreamError."""
        for count in range(_ROWS_PER_TURN):
            async with self._ledger.due_row(self._now()) as held:
                if held is None:
                    return count
                await self._decide(*held)
        return _ROWS_PER_TURN

    async def _decide(self, row: DueRow, work: Work) -> None:
        family, now = row.family, self._now()
        if not family.originals:
            await work.look_again(row.id, None)  # pruned
            return
        answer = family.answer
        if answer is not None:
            await work.look_again(row.id, None)
            if row.is_escalation:
                await work.answered(row.id, answer)
            return
        taken = await self._taken.first_taken(_members(family))
        if taken.keys() - _recorded(family):
            await work.look_again(row.id, now + _ON_ITS_WAY)
            return
        decision = self._matrix().decide(case_of(family), now)
        match decision:
            case Finished():
                await work.look_again(row.id, None)
            case Wait():
                await work.look_again(row.id, decision.until)
            case Escalate():
                lead = lead_of(family)
                answer_id = row.id if lead in taken else lead
                step = Step(decision.step, decision.channel, now)
                await self.escalate(work, family, step, answer_id=answer_id)
                await work.look_again(row.id, decision.look_again)
            case _:
                assert_never(decision)

    async def by_hand(self, work: Work, family: Family, notification_id: str, who: str) -> None:
        """Tell the next channel now because a person wants it. Raises StoreError or StreamError."""
        if not family.originals:
            return
        number, channel = self._matrix().by_hand(case_of(family))
        await self.escalate(
            work,
            family,
            Step(number, channel, self._now()),
            answer_id="",
            of=notification_id,
            who=who,
        )

    async def escalate(
        self,
        work: Work,
        family: Family,
        step: Step,
        *,
        answer_id: str,
        of: str | None = None,
        who: str | None = None,
    ) -> None:
        """Write a step down and publish it."""
        lead, first = lead_of(family), family.originals[0]
        cause = "by_hand" if who else "unanswered"
        event_id = escalation_event_id(lead, step.number)
        taken = await work.take_step(
            family,
            step,
            cause=cause,
            notification_id=of or answer_id,
            escalation_id=notification_id(family.stream, event_id, step.channel),
            who=who,
        )
        if not taken:
            return
        titles = self._titles()
        told = [*first.channels, *(each.step.channel for each in family.steps)]
        entry = escalation_event(
            Subject(
                first.event_type,
                first.correlation_id,
                first.lang,
                _summary(family),
                first.traceparent,
            ),
            lead_id=lead,
            answer_id=answer_id,
            step=step.number,
            channel=step.channel,
            by=who,
            priority=first.priority,
            since=first.sent_at,
            told=[titles.get(name, name) for name in dict.fromkeys(told)],
            at=step.at,
        )
        await self._publish(family.stream, entry)
        log.info(
            "event_escalated",
            event_id=family.event_id,
            correlation_id=first.correlation_id,
            step=step.number,
            channel=step.channel,
            cause=cause,
        )


def case_of(family: Family) -> Case:
    """Return the case that an event's rows make; it has at least one notification."""
    first = family.originals[0]
    steps = tuple(each.step for each in family.steps)
    return Case(
        first.priority, first.sent_at, first.channels, steps, answered=family.answer is not None
    )


def lead_of(family: Family) -> str:
    """Return the id of the event's first notification, which may not be recorded yet."""
    return notification_id(family.stream, family.event_id, family.originals[0].channels[0])


def _members(family: Family) -> list[str]:
    channels = family.originals[0].channels
    originals = [notification_id(family.stream, family.event_id, name) for name in channels]
    return [*originals, *(each.id for each in family.steps)]


def _recorded(family: Family) -> set[str]:
    """Return the members whose action Postgres knows."""
    members: list[Original | Told] = [*family.originals, *family.steps]
    return {each.id for each in members if each.acknowledged_at is not None}


def _summary(family: Family) -> str | None:
    return next((each.summary for each in family.originals if each.summary), None)
