"""Record accepted actions in Postgres, then announce or escalate."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import structlog

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.broker.hop import Move
from notifier.broker.keys import ACCEPTED, accepted_stream, unreadable_stream
from notifier.broker.leases import Leases
from notifier.config.models import RedisSettings
from notifier.errors import OutcomeError, UnreachableError
from notifier.escalation.internal_events import acknowledged_event
from notifier.escalation.policy import ACKNOWLEDGED_TYPE
from notifier.escalation.repository import EscalationRepository, RowError
from notifier.escalation.rows import PendingAction, RecordedEvent
from notifier.escalation.scheduler import EscalationScheduler, FailedRows, Publish
from notifier.events.action import ESCALATE, WORDS, Action, is_recordable, read_action
from notifier.pipeline.stage import still_there
from notifier.telemetry import metrics
from notifier.telemetry.clock import Every
from notifier.telemetry.logs import log_unforeseen

log = structlog.get_logger(__name__)

_BATCH = 100
_APPLY_SECONDS = 2.0
_FIRST_LEFT_SECONDS = 5.0
_MOST_TRIES = 3


class ActionRecorder:
    """Records accepted actions; a later row gets its action when it is there."""

    def __init__(
        self,
        group: Consumer,
        repository: EscalationRepository,
        scheduler: EscalationScheduler,
        publish: Publish,
        *,
        leases: Leases,
        redis_settings: RedisSettings,
        announced: Callable[[], Collection[str]],
        now: Callable[[], datetime],
    ) -> None:
        self._group = group
        self._repository = repository
        self._scheduler = scheduler
        self._publish = publish
        self._leases = leases
        self._redis = redis_settings
        self._announced = announced
        self._now = now
        self._claim = Every(redis_settings.lease_seconds / 3, time.monotonic)
        self._apply = Every(_APPLY_SECONDS, time.monotonic)
        self._in_flight: list[Entry] = []
        self._unreadable_is_read = False
        self._failed = FailedRows(_FIRST_LEFT_SECONDS)
        self._stream = accepted_stream(redis_settings.group)
        self._unreadable = unreadable_stream(redis_settings.group)
        self._read_from = [self._stream]

    async def step(self) -> int:
        """Record one batch of actions and apply those whose row is there.

        Returns how many were recorded.

        Raises:
            StreamError: Redis is away.
            StoreError: Postgres is away; the batch stays in flight for the next step.
        """
        if not self._in_flight:
            self._in_flight = [
                entry
                for entry in await self._next()
                if self._leases.hold(entry.stream, entry.id)
            ]
        count = len(self._in_flight)
        if count:
            await self._group.hop(await self._accepted(self._in_flight))
            for entry in self._in_flight:
                self._leases.drop(entry.stream, entry.id)
            self._in_flight = []
        if self._apply.due() or count:
            await self.apply_waiting()
        if not self._unreadable_is_read:
            # Last: while Redis refuses that key, what can be read is recorded all the same.
            await self._put_back()
            self._unreadable_is_read = True
        return count

    async def _accepted(self, entries: Sequence[Entry]) -> list[Move]:
        """Record actions; returns how they leave their stream.

        An action that Postgres refuses goes to the unreadable stream; the others are recorded.
        """
        try:
            found = [_action(entry) for entry in entries]
            await self._repository.accept([action for action in found if action is not None])
            return [_move(*each, self._unreadable) for each in zip(entries, found, strict=True)]
        except UnreachableError:
            raise
        except Exception as exc:
            if len(entries) > 1:
                half = len(entries) // 2
                return [
                    *await self._accepted(entries[:half]),
                    *await self._accepted(entries[half:]),
                ]
            [entry] = entries
            log_unforeseen("action_failed", exc, entry_id=entry.id)
            if not isinstance(exc, OutcomeError) and entry.deliveries < _MOST_TRIES:
                return []  # whoever comes once its lease has run out tries again
            return [
                Move(entry.stream, entry.id, ((self._unreadable, _texts(entry.fields or {})),))
            ]

    async def apply_waiting(self) -> None:
        """Apply every action whose row is there.

        One that fails for a reason of its own is left for seconds, in the end for an hour.

        Raises:
            StoreError: Postgres is away.
            StreamError: Redis is away.
        """
        for _ in range(_BATCH):
            try:
                if not await self._apply_next():
                    return
            except RowError as exc:
                log_unforeseen(
                    "action_left",
                    exc.__cause__ or exc,
                    notification_id=exc.row_id,
                    seconds=self._failed.leave(exc.row_id),
                    fix="it is tried again then; correct its row in teams_actions or teams_notifications",
                )

    async def _apply_next(self) -> bool:
        """Apply one action; returns whether there was one."""
        async with self._repository.pending_action(without=self._failed.left) as found:
            if found is None:
                return False
            pending, event, transaction = found
            action = pending.action
            if not await transaction.apply(action, event):
                return True
            if action.action == ESCALATE:
                await self._scheduler.escalate_by_hand(
                    transaction, event, action.notification_id, action.who
                )
            is_card = pending.event_type != ACKNOWLEDGED_TYPE
            if is_card and pending.priority in self._announced():
                await self._announce(pending, event)
        metrics.ACKNOWLEDGMENTS.labels(action.action).inc()
        seconds = (action.at - pending.sent_at).total_seconds()
        metrics.ACKNOWLEDGMENT_SECONDS.labels(pending.priority).observe(max(0.0, seconds))
        log.info(
            "action_recorded",
            action=action.action,
            via=str(action.via),
            notification_id=action.notification_id,
            correlation_id=pending.correlation_id,
            channel=pending.channel,
        )
        return True

    async def _announce(self, pending: PendingAction, event: RecordedEvent) -> None:
        """Send a card to all channels that have one of the event."""
        entry = acknowledged_event(event, pending, at=self._now())
        await self._publish(event.stream, [entry])

    async def _put_back(self) -> None:
        """Accept actions that another version could not read.

        Raises:
            StreamError: Redis is away.
        """
        start = "-"
        while page := await self._group.between(self._unreadable, start, "+", count=_BATCH):
            for entry_id, fields in page:
                if _action(Entry(self._unreadable, entry_id, fields)) is not None:
                    move = Move(self._unreadable, entry_id, ((self._stream, _texts(fields)),))
                    await self._group.move(self._unreadable, [move])
            start = f"({page[-1][0]}"

    async def _next(self) -> list[Entry]:
        entries: list[Entry] = []
        if self._claim.due():
            self._read_from = await self._streams()
            for stream in self._read_from:
                entries += await self._group.claim(
                    stream, idle_seconds=self._redis.lease_seconds, count=_BATCH
                )
        if entries:
            self._claim.again()
        else:
            entries = await self._group.read(
                self._read_from, count=_BATCH, block_seconds=self._redis.block_seconds
            )
        return still_there(entries)

    async def _streams(self) -> list[str]:
        """Return the streams of this group's actions.

        An earlier version puts them into the common stream; it is read if no other group does.
        """
        if self._stream == ACCEPTED or not await self._group.is_alone_in(ACCEPTED):
            return [self._stream]
        return [self._stream, ACCEPTED]


def _move(entry: Entry, action: Action | None, unreadable: str) -> Move:
    """Return where an entry goes; unreadable ones are kept."""
    if action is not None and action.action in WORDS:
        return Move(entry.stream, entry.id)
    log.error(
        "action_unreadable",
        entry_id=entry.id,
        fix=f"a later version or another program wrote it: a version that knows it reads it from {'teams_actions' if action else unreadable}",
    )
    kept = () if action else ((unreadable, _texts(entry.fields or {})),)
    return Move(entry.stream, entry.id, kept)


def _action(entry: Entry) -> Action | None:
    try:
        action = read_action(entry.fields or {})
    except (ValueError, KeyError):
        return None
    return action if is_recordable(action) else None


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str | bytes]:
    return {name.decode(errors="backslashreplace"): value for name, value in fields.items()}
