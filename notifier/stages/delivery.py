"""Second stage: draw each notification's card, post it with retries, and hop its outcome."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    stop_never,
)

from notifier.cards import CardPainter, DrawnCard
from notifier.config import DeliverySettings, RedisSettings, RetrySettings
from notifier.deadletter import Reason, of_entry, of_notification
from notifier.digests import digest_of, gather, kind_of
from notifier.errors import CardError, CardTooLargeError, StreamError, TemplateError
from notifier.notifications import Notification, decode
from notifier.outcomes import Attempt, Status, Tried, encode_outcome
from notifier.stages.channel import ChannelGate, StoppedError
from notifier.stages.settler import Settler
from notifier.stages.stage import Every
from notifier.streams.group import ConsumerGroup, Entry
from notifier.streams.hop import HopResult, Move
from notifier.streams.keys import Keys
from notifier.streams.leases import Leases
from notifier.teams.envelope import build_body, card_json
from notifier.teams.fit import fit_card
from notifier.teams.response import Verdict, judge, misconfigured, retry_delay
from notifier.teams.sender import Answer, WebhookSender
from notifier.telemetry.health import Health

log = structlog.get_logger(__name__)

Waiting = tuple[Entry, Notification]
"""A lane's entry and what it says."""

_LOOK_AGAIN_SECONDS = 1.0
_PREFETCH = 4
"""Without a rate limit, this many times `in_flight` are read ahead, so that one read serves many posts."""


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What the lanes of all channels share."""

    group: ConsumerGroup
    leases: Leases
    painter: CardPainter
    delivery: DeliverySettings
    retry: RetrySettings
    redis: RedisSettings
    health: Health
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Drawn:
    template: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a notification cannot be delivered."""

    reason: Reason
    detail: str


class ChannelDelivery:
    """Delivers the two lanes of one channel and event stream, urgent first."""

    def __init__(
        self,
        stream: str,
        gate: ChannelGate,
        sender: WebhookSender | None,
        settler: Settler,
        parts: DeliveryParts,
    ) -> None:
        keys = Keys(stream)
        self._keys = keys
        self._gate = gate
        self._sender = sender
        self._settler = settler
        self._parts = parts
        self.lanes = (
            keys.lane(gate.channel, urgent=True),
            keys.lane(gate.channel, urgent=False),
        )
        self._slots = asyncio.Semaphore(parts.delivery.in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._gathering = False
        self._claim = Every(parts.redis.lease_seconds / 3, time.monotonic)

    async def turn(self) -> int:
        """Wait until the channel takes posts and there is room, read one batch and start delivering it."""
        try:
            await self._gate.wait_until_open()
        except StoppedError:
            return 0
        room = await self._room()
        since = time.monotonic()
        entries: list[Entry] = []
        if self._claim.due():
            entries = await self._take_over(room)
        if not entries:
            entries = await self._parts.group.read(
                self.lanes, count=room, block_seconds=self._parts.redis.block_seconds
            )
            entries += await self._read_ahead(entries)
        held = [
            entry
            for entry in entries
            if entry.fields is not None
            and self._parts.leases.hold(entry.stream, entry.id, since=since)
        ]
        for batch in self._batches(held):
            self._tasks.add(asyncio.create_task(self.deliver(batch)))
        return len(entries)

    async def drain(self) -> None:
        """Wait for everything in hand; raises what a delivery raised."""
        while self._tasks:
            await self._reap(asyncio.ALL_COMPLETED)

    def abandon(self) -> None:
        """Cancel everything in hand."""
        for task in self._tasks:
            task.cancel()

    async def deliver(self, batch: Sequence[Waiting]) -> None:
        """Deliver what shares one card and hop its outcomes together; on stop leave them to another process."""
        try:
            # The slot is kept until the hop: no more than `in_flight` posts can ever have to be repeated.
            async with self._slots:
                mine = [waiting for waiting in batch if await self._still_ours(waiting[0])]
                if mine:
                    await self._settle(mine, await self._delivered(mine))
        except StoppedError:
            for entry, _ in batch:
                await self._parts.leases.give_up(entry.stream, entry.id)

    async def _still_ours(self, entry: Entry) -> bool:
        """Tell whether nobody has taken an entry over; without Redis wait, for nobody knows. Raises StoppedError."""
        leases = self._parts.leases
        while True:
            try:
                ours = await leases.still_ours(entry.stream, entry.id)
            except StreamError:
                await self._gate.sleep(_LOOK_AGAIN_SECONDS)
                continue
            if not ours:
                leases.drop(entry.stream, entry.id)
                log.warning("notification_taken_over", stream=entry.stream, entry_id=entry.id)
            return ours

    async def _settle(
        self, batch: Sequence[Waiting], ended: Sequence[tuple[Move, dict[str, object]]]
    ) -> None:
        results = await self._settler.settle([move for move, _ in ended])
        for (entry, notification), (_, line), result in zip(batch, ended, results, strict=True):
            self._parts.leases.drop(entry.stream, entry.id)
            _report(notification, line, result)

    async def _read_ahead(self, entries: Sequence[Entry]) -> list[Entry]:
        """In a burst, read as many more of the normal lane as may share a card."""
        settings, lane = self._parts.delivery, self.lanes[1]
        normal = sum(entry.stream == lane for entry in entries)
        self._gathering = (
            bool(settings.digest_threshold and normal and self._gate.limited)
            and await self._parts.group.length(lane) > settings.digest_threshold
        )
        if not self._gathering or normal >= settings.digest_size:
            return []
        return await self._parts.group.read(
            [lane], count=settings.digest_size - normal, block_seconds=0
        )

    def _batches(self, entries: Sequence[Entry]) -> list[list[Waiting]]:
        """Return what is posted together; what was taken over goes alone, for it may have been posted already."""
        waiting: list[Waiting] = []
        for entry in entries:
            try:
                waiting.append((entry, decode((entry.fields or {}).get(b"notification", b""))))
            except (ValueError, KeyError, TypeError):
                self._tasks.add(asyncio.create_task(self._bury_unreadable(entry)))
        if not self._gathering:
            return [[each] for each in waiting]
        alone = [each for each in waiting if each[0].deliveries > 1 or each[1].priority.urgent]
        rest = [each for each in waiting if each not in alone]
        groups = gather(rest, lambda each: kind_of(each[1]))
        return [*([each] for each in alone), *groups]

    async def _room(self) -> int:
        """Wait until a batch is worth reading; returns how many entries to read of each lane."""
        if not self._gate.breaker.closed or self._gate.crowded:
            capacity = 1
        elif self._gate.limited:
            capacity = self._parts.delivery.in_flight
        else:
            capacity = self._parts.delivery.in_flight * _PREFETCH
        while len(self._tasks) > capacity // 2:
            await self._reap(asyncio.FIRST_COMPLETED)
        return max(1, capacity - len(self._tasks))

    async def _reap(self, when: str) -> None:
        done, _ = await asyncio.wait(self._tasks, return_when=when)
        self._tasks -= done
        for task in done:
            task.result()

    async def _take_over(self, room: int) -> list[Entry]:
        entries: list[Entry] = []
        for lane in self.lanes:
            entries += await self._parts.group.claim(
                lane, idle_seconds=self._parts.redis.lease_seconds, count=room
            )
        return entries

    async def _delivered(
        self, batch: Sequence[Waiting]
    ) -> list[tuple[Move, dict[str, object]]]:
        """Post one card for the batch; returns how each of it ended."""
        subject = batch[0][1]
        if len(batch) > 1:
            painter = self._parts.painter
            subject = digest_of([waiting[1] for waiting in batch], painter.acknowledge_link)
        digest_id = subject.id if len(batch) > 1 else None

        def ended(
            tried: Tried, refused: _Refused | None, drawn: _Drawn | None
        ) -> list[tuple[Move, dict[str, object]]]:
            return [
                self._ended(entry, notification, tried, refused, drawn, digest_id)
                for entry, notification in batch
            ]

        drawn = self._draw(batch[0][0], subject)
        if isinstance(drawn, _Refused):
            return ended(Tried(), drawn, None)
        sender = self._sender
        if sender is None:
            name = f"TEAMS_WEBHOOK_{subject.channel.upper()}"
            detail = f"channel {subject.channel} has no webhook; set {name} and replay"
            return ended(Tried(), _Refused(Reason.NOT_CONFIGURED, detail), drawn)
        tried, verdict = await self._post(sender, subject, drawn.body)
        if verdict is Verdict.ACCEPTED:
            return ended(tried, None, drawn)
        error = tried.last.error if tried.last else None
        if verdict is Verdict.TRANSIENT:
            refused = _Refused(
                Reason.RETRIES_EXHAUSTED, f"failed {tried.count} times, at last: {error}"
            )
        else:
            refused = _Refused(Reason.REJECTED, f"the webhook refused it: {error}")
        return ended(tried, refused, drawn)

    def _draw(self, entry: Entry, notification: Notification) -> _Drawn | _Refused:
        if entry.deliveries > self._parts.redis.max_deliveries:
            detail = f"was taken over {entry.deliveries - 1} times without an end; a process may have died of it"
            return _Refused(Reason.POISON, detail)
        try:
            drawn = self._parts.painter.draw(notification)
        except (CardError, TemplateError) as exc:
            return _Refused(Reason.CARD_ERROR, str(exc))
        if drawn.gaps:
            log.warning(
                "card_had_gaps",
                template=drawn.template,
                expressions=sorted(set(drawn.gaps))[:10],
                **_identity(notification),
            )
        try:
            return _Drawn(drawn.template, self._body(drawn))
        except CardTooLargeError as exc:
            return _Refused(Reason.CARD_TOO_LARGE, str(exc))

    def _body(self, drawn: DrawnCard) -> bytes:
        limit = self._parts.delivery.max_card_bytes
        try:
            return build_body(drawn.card, max_card_bytes=limit)
        except CardTooLargeError:
            fitted = fit_card(drawn.card, max_card_bytes=limit, more_link=drawn.more_link)
            return build_body(fitted, max_card_bytes=limit)

    async def _post(
        self, sender: WebhookSender, notification: Notification, body: bytes
    ) -> tuple[Tried, Verdict]:
        """Post until accepted, refused or out of retries; the probe of an open breaker tries until it knows."""
        headers = {
            "X-Correlation-ID": notification.correlation_id,
            "X-Priority": notification.priority.value,
        }
        if notification.traceparent:
            headers["traceparent"] = notification.traceparent
        tried = Tried()
        probe = await self._gate.admit()

        async def attempt() -> tuple[Verdict, Answer]:
            nonlocal tried
            await self._gate.reserve()
            answer = await sender.post(
                body, headers, message_id=notification.id, now=self._parts.now
            )
            tried = tried.plus(
                Attempt(answer.started_at, answer.duration_seconds, answer.status, answer.error)
            )
            verdict = (
                Verdict.TRANSIENT
                if answer.status is None
                else judge(answer.status, attempt=tried.count)
            )
            await self._noted(notification, answer, verdict)
            return verdict, answer

        retrying = AsyncRetrying(
            retry=retry_if_result(_is_transient),
            stop=stop_never if probe else stop_after_attempt(self._parts.retry.max_retries + 1),
            wait=self._wait_as_probe if probe else self._wait,
            sleep=self._gate.sleep,
            retry_error_callback=_last_result,
        )
        try:
            result: tuple[Verdict, Answer] = await retrying(attempt)
        finally:
            if probe:
                self._gate.breaker.probe_ended()
        return tried, result[0]

    async def _noted(
        self, notification: Notification, answer: Answer, verdict: Verdict
    ) -> None:
        """Let breaker, pause, readiness and log know of one attempt."""
        part = f"channel {notification.channel}"
        if verdict is Verdict.TRANSIENT:
            self._gate.breaker.failed(time.monotonic())
            if answer.retry_after_seconds:
                await self._gate.pause_everywhere(answer.retry_after_seconds)
            log.info("attempt_failed", error=answer.error, **_identity(notification))
        else:
            self._gate.breaker.succeeded()
        if misconfigured(answer.status):
            self._parts.health.fails(
                part,
                f"its webhook answers {answer.error}; check the Teams workflow and its URL",
            )
        elif verdict is Verdict.ACCEPTED and part in self._parts.health.parts:
            self._parts.health.works(part)

    def _wait(self, state: RetryCallState) -> float:
        result = state.outcome.result() if state.outcome else None
        asked = result[1].retry_after_seconds if result else None
        retry = self._parts.retry
        return retry_delay(
            state.attempt_number,
            asked=asked,
            factor=retry.factor,
            max_seconds=retry.max_delay_seconds,
            jitter=random.random(),  # noqa: S311 - spreads load, guards nothing
        )

    def _wait_as_probe(self, state: RetryCallState) -> float:
        return max(self._gate.breaker.open_seconds, self._wait(state))

    def _ended(
        self,
        entry: Entry,
        notification: Notification,
        tried: Tried,
        refused: _Refused | None,
        drawn: _Drawn | None,
        digest_id: str | None,
    ) -> tuple[Move, dict[str, object]]:
        """Make the hop that ends a notification: its outcome and, if refused, its dead letter."""
        now = self._parts.now()
        last = tried.last
        outcome = encode_outcome(
            notification,
            Status.DELIVERED if refused is None else Status.DEAD_LETTERED,
            tried,
            error=refused.detail if refused else None,
            host=self._sender.host if self._sender else None,
            template=drawn.template if drawn else None,
            card_json=card_json(drawn.body) if drawn else None,
            at=now,
            digest_id=digest_id,
        )
        targets: tuple[tuple[str, dict[str, str | bytes]], ...] = (
            (self._keys.outcomes, {"outcome": outcome}),
        )
        status = last.status_code if last else None
        if refused is not None:
            letter = of_notification(
                notification,
                refused.reason,
                refused.detail,
                status=status,
                attempts=tried.count,
                source=(entry.stream, entry.id),
                at=now,
            )
            targets = (*targets, (self._keys.dead, letter))
        line: dict[str, object] = {"status_code": status, "attempts": tried.count}
        if last is not None:
            line["duration_seconds"] = round(last.duration_seconds, 4)
        if digest_id is not None:
            line["digest_id"] = digest_id
        if refused is not None:
            line |= {"reason": refused.reason.value, "detail": refused.detail}
        return Move(entry.stream, entry.id, targets), line

    async def _bury_unreadable(self, entry: Entry) -> None:
        letter = of_entry(
            "delivery",
            Reason.INVALID_EVENT,
            "the lane entry is not a notification; only notifier may write to lanes",
            event=(entry.fields or {}).get(b"notification", b""),
            source=(entry.stream, entry.id),
            at=self._parts.now(),
            known={"channel": self._gate.channel},
        )
        await self._settler.settle([Move(entry.stream, entry.id, ((self._keys.dead, letter),))])
        self._parts.leases.drop(entry.stream, entry.id)
        log.error("notification_unreadable", entry_id=entry.id, channel=self._gate.channel)


def _is_transient(result: tuple[Verdict, Answer]) -> bool:
    return result[0] is Verdict.TRANSIENT


def _last_result(state: RetryCallState) -> tuple[Verdict, Answer]:
    assert state.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
    result: tuple[Verdict, Answer] = state.outcome.result()
    return result


def _identity(notification: Notification) -> dict[str, object]:
    return {
        "correlation_id": notification.correlation_id,
        "event_id": notification.event_id,
        "channel": notification.channel,
        "event_type": notification.event_type,
        "notification_id": notification.id,
    }


def _report(notification: Notification, line: dict[str, object], result: HopResult) -> None:
    fields = {**_identity(notification), **line}
    if result is HopResult.LOST:
        log.warning("notification_settled_by_another_process", **fields)
    elif "reason" in line:
        log.error("notification_dead_lettered", **fields)
    else:
        log.info("notification_delivered", **fields)
