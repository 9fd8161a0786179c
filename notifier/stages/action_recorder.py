"""Brings accepted actions from Redis into Postgres, and sets off what follows from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from notifier.actions import WORDS, Action, read_action
from notifier.config import RedisSettings
from notifier.escalation import ACKNOWLEDGED_TYPE
from notifier.notices import Subject, acknowledged_event
from notifier.stages.escalator import Escalator, Publish
from notifier.stages.stage import Every, still_there
from notifier.store.escalations import Ledger, WaitingAction
from notifier.streams.actions import ACCEPTED
from notifier.streams.group import ConsumerGroup, Entry
from notifier.streams.hop import Move
from notifier.streams.leases import Leases
from notifier.telemetry import metrics

log = structlog.get_logger(__name__)

_BATCH = 100
_APPLY_SECONDS = 2.0


class ActionRecorder:
    """Reads accepted actions; a row that is not recorded yet gets its action as soon as it is."""

    def __init__(
        self,
        group: ConsumerGroup,
        ledger: Ledger,
        escalator: Escalator,
        publish: Publish,
        *,
        leases: Leases,
        redis_settings: RedisSettings,
        announce: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._group = group
        self._ledger = ledger
        self._escalator = escalator
        self._publish = publish
        self._leases = leases
        self._redis = redis_settings
        self._announce = announce
        self._now = now
        self._claim = Every(redis_settings.lease_seconds / 3, time.monotonic)
        self._apply = Every(_APPLY_SECONDS, time.monotonic)
        self._in_hand: list[Entry] = []

    async def turn(self) -> int:
        """Record one batch of actions and apply what can be; returns how many were recorded.

        Raises:
            StreamError: Redis is away.
            StoreError: Postgres is away; the batch stays in hand for the next turn.
        """
        if not self._in_hand:
            self._in_hand = [
                entry
                for entry in await self._next()
                if self._leases.hold(entry.stream, entry.id)
            ]
        count = len(self._in_hand)
        if count:
            await self._ledger.accept(_actions(self._in_hand))
            await self._group.hop([Move(entry.stream, entry.id) for entry in self._in_hand])
            for entry in self._in_hand:
                self._leases.drop(entry.stream, entry.id)
            self._in_hand = []
        if self._apply.due() or count:
            await self.apply_waiting()
        return count

    async def apply_waiting(self) -> None:
        """Apply every action whose row is there. Raises StoreError or StreamError."""
        for _ in range(_BATCH):
            async with self._ledger.waiting_action() as held:
                if held is None:
                    return
                waiting, work = held
                if not await work.apply(waiting):
                    continue
                action = waiting.action
                if action.action == "escalate":
                    await self._escalator.by_hand(
                        work, waiting.family, action.notification_id, action.who
                    )
                if self._announce() and waiting.event_type != ACKNOWLEDGED_TYPE:
                    await self._announced(waiting)
            metrics.ACKNOWLEDGMENTS.labels(action.action).inc()
            taken_after = (action.at - waiting.sent_at).total_seconds()
            metrics.ACKNOWLEDGMENT_SECONDS.labels(waiting.priority).observe(
                max(0.0, taken_after)
            )
            log.info(
                "action_recorded",
                action=action.action,
                via=action.via.value,
                notification_id=action.notification_id,
                correlation_id=waiting.correlation_id,
                channel=waiting.channel,
            )

    async def _announced(self, waiting: WaitingAction) -> None:
        channels = [waiting.channel, *(each.step.channel for each in waiting.family.steps)]
        subject = Subject(
            waiting.event_type,
            waiting.correlation_id,
            waiting.lang,
            waiting.summary,
            waiting.traceparent,
        )
        entry = acknowledged_event(subject, waiting.action, channels=channels, at=self._now())
        await self._publish(waiting.family.stream, entry)

    async def _next(self) -> list[Entry]:
        entries: list[Entry] = []
        if self._claim.due():
            entries = await self._group.claim(
                ACCEPTED, idle_seconds=self._redis.lease_seconds, count=_BATCH
            )
        if not entries:
            entries = await self._group.read(
                [ACCEPTED], count=_BATCH, block_seconds=self._redis.block_seconds
            )
        return still_there(entries)


def _actions(entries: list[Entry]) -> list[Action]:
    found: list[Action] = []
    for entry in entries:
        action = _action(entry)
        if action is None:
            log.error(
                "action_unreadable",
                entry_id=entry.id,
                fix="only notifier may write to this stream",
            )
        else:
            found.append(action)
    return found


def _action(entry: Entry) -> Action | None:
    """Return the action of an entry; None for what Postgres would refuse: it would hold up all others."""
    try:
        action = read_action(entry.fields or {})
        UUID(action.notification_id)
    except (ValueError, KeyError):
        return None
    return action if action.action in WORDS and "\x00" not in action.who + action.note else None
