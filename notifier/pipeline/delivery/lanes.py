"""Second stage: render each notification, post it, hop its outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import structlog
from msgspec.structs import replace

from notifier.broker.entries import Entry
from notifier.broker.hop import HopResult, Move
from notifier.broker.keys import Keys
from notifier.dead_letters.model import Reason, of_entry
from notifier.errors import StreamError
from notifier.events.digest import digest_of, gather, kind_of
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.delivery.lane_reader import LaneReader
from notifier.pipeline.delivery.limiter import ChannelLimiter, StoppedError
from notifier.pipeline.delivery.poster import DeliveryDependencies, Poster
from notifier.pipeline.delivery.rendering import render_body
from notifier.pipeline.delivery.result import DeliveryResult, identity
from notifier.pipeline.spans import DeliverySpan, delivery_span
from notifier.pipeline.stage import (
    LOOK_AGAIN_SECONDS,
    Alone,
    ClaimedError,
    Waiting,
    decoded,
    in_order,
    still_there,
)
from notifier.pipeline.worker_pool import Work, WorkerPool
from notifier.teams.sender import WebhookSender
from notifier.telemetry import metrics
from notifier.telemetry.logs import log_unforeseen

log = structlog.get_logger(__name__)

_PREFETCH = 4
"""Without a rate limit, this many times `in_flight` are read ahead, so that one read serves many posts."""


class _ApartError(Exception):
    """Several notifications cannot share a card: each has to go alone."""


class ChannelDelivery:
    """Delivers the two lanes of one channel and event stream, urgent first."""

    def __init__(
        self,
        stream: str,
        limiter: ChannelLimiter,
        sender: WebhookSender | None,
        hop_batcher: HopBatcher,
        dependencies: DeliveryDependencies,
    ) -> None:
        keys = Keys(stream)
        self._keys = keys
        self._limiter = limiter
        self._poster = Poster(limiter, sender, dependencies)
        self._hop_batcher = hop_batcher
        self._dependencies = dependencies
        self.lanes = (
            keys.lane(limiter.channel, urgent=True),
            keys.lane(limiter.channel, urgent=False),
        )
        self._workers = WorkerPool(dependencies.delivery.in_flight)
        self._reader = LaneReader(*self.lanes, dependencies.group, limiter, dependencies.redis)

    def use(self, dependencies: DeliveryDependencies, sender: WebhookSender | None) -> None:
        """Use other settings, cards and webhook.

        Notifications in flight use them from their next attempt on.
        """
        self._workers.limit = dependencies.delivery.in_flight
        self._dependencies = dependencies
        self._poster.sender, self._poster.dependencies = sender, dependencies

    @property
    def in_flight(self) -> int:
        """Return how many cards are being delivered."""
        return self._workers.in_flight

    @property
    def channel(self) -> str:
        """Return the channel that this delivers to."""
        return self._limiter.channel

    async def step(self) -> int:
        """Read one batch and start its delivery, if the channel has room.

        It waits a second at most for room.

        A step is short, however long a channel is away, so that a loop that hangs is not mistaken for one that waits.
        """
        try:
            if not await self._limiter.opens_soon():
                return 0
        except StoppedError:
            return 0
        room = await self._room()
        if not room:
            return 0
        since = time.monotonic()
        settings = self._dependencies.delivery
        entries = await self._reader.read(
            room, claimable=settings.in_flight - self._workers.in_flight, settings=settings
        )
        held = [
            entry
            for entry in in_order(still_there(entries))
            if self._dependencies.leases.hold(entry.stream, entry.id, since=since)
        ]
        try:
            batches = await self._batches(held)
        except Exception:
            self._let_go(held)
            raise
        for batch in batches:
            self._start([entry for entry, _ in batch], partial(self.deliver, batch))
        return len(entries)

    def _start(self, entries: Sequence[Entry], work: Work) -> None:
        self._workers.start(work, partial(self._let_go, entries))

    def _let_go(self, entries: Sequence[Entry]) -> None:
        """Renew these leases no longer.

        After they end, another process tries again, and dead-letters what fails each time.
        """
        for entry in entries:
            self._dependencies.leases.drop(entry.stream, entry.id)

    async def drain(self) -> None:
        """Wait for everything in flight; raises what a delivery raised."""
        await self._workers.until_at_most(0)

    def abandon(self) -> None:
        """Cancel everything in flight."""
        self._workers.abandon()

    async def deliver(self, batch: Sequence[Waiting]) -> None:
        """Deliver the notifications of one card and hop their outcomes together.

        On stop, and if one was claimed, all are left to other processes.

        After an unexpected error each of several notifications is delivered alone.
        """
        try:
            await self._deliver(batch)
        except (StoppedError, ClaimedError):
            await self._dependencies.leases.give_up([entry for entry, _ in batch])
        except _ApartError:
            for each in batch:
                await self.deliver([each])

    async def _deliver(self, batch: Sequence[Waiting]) -> None:
        mine = batch
        if not self._surely_ours(batch):
            mine = [each for each in batch if await self._still_ours(each[0])]
        if not mine:
            return
        # The worker stays until the hop: at most `in_flight` posts may need a repeat.
        if self._dependencies.spans is None:
            await self._hop_outcomes(mine, await self._result(mine, None))
            return
        with delivery_span(self._dependencies.spans, mine) as span:
            result = await self._result(mine, span)
            await self._hop_outcomes(mine, result if span is None else span.seen(result))

    def _surely_ours(self, batch: Sequence[Waiting]) -> bool:
        """Return whether nobody has claimed or ended any of these, without Redis.

        Their first process may still live.
        """
        leases = self._dependencies.leases
        for entry, _ in batch:
            if entry.deliveries != 1 or not leases.surely_ours(entry.stream, entry.id):
                return False
        return True

    async def _still_ours(self, entry: Entry) -> bool:
        """Return whether nobody has claimed an entry; wait while Redis is away.

        Raises:
            StoppedError: The daemon stops.
        """
        leases = self._dependencies.leases
        while True:
            try:
                ours = await leases.still_ours(entry.stream, entry.id)
            except StreamError:
                await self._limiter.sleep(LOOK_AGAIN_SECONDS)
                continue
            if not ours:
                leases.drop(entry.stream, entry.id)
                log.warning("notification_taken_over", stream=entry.stream, entry_id=entry.id)
            return ours

    async def _hop_outcomes(self, batch: Sequence[Waiting], result: DeliveryResult) -> None:
        host, at = self._poster.host, self._dependencies.now()

        def report(results: Sequence[HopResult]) -> None:
            self._let_go([entry for entry, _ in batch])
            for (_, notification), hopped in zip(batch, results, strict=True):
                result.report(notification, hopped)

        try:
            moves = [
                result.move(entry, notification, self._keys, host=host, at=at)
                for entry, notification in batch
            ]
            await self._hop_batcher.hop(moves, report)
        except Exception as exc:
            if len(batch) > 1:
                for each in batch:
                    await self._hop_outcomes([each], result)
                return
            [(entry, notification)] = batch
            why = log_unforeseen("outcome_failed", exc, **identity(notification))
            await self._bury(entry, Reason.INTERNAL_ERROR, why)

    async def _batches(self, entries: Sequence[Entry]) -> list[list[Waiting]]:
        """Return the groups that are posted together.

        A claimed entry goes alone, since it may have been posted already.
        """
        waiting = await decoded(
            entries, lambda entry: self._start([entry], partial(self._bury_unreadable, entry))
        )
        if not self._reader.gathering:
            return [[each] for each in waiting]
        alone = [each for each in waiting if each[0].deliveries > 1 or each[1].priority.urgent]
        rest = [each for each in waiting if each not in alone]
        groups = gather(rest, lambda each: kind_of(each[1]))
        return [*([each] for each in alone), *groups]

    async def _room(self) -> int:
        """Wait up to a second for a batch; return how many entries to read."""
        if not self._limiter.breaker.closed or self._limiter.crowded:
            capacity = 1
        elif self._limiter.limited:
            capacity = self._dependencies.delivery.in_flight
        else:
            capacity = self._dependencies.delivery.in_flight * _PREFETCH
        if not await self._workers.until_at_most(capacity // 2, seconds=LOOK_AGAIN_SECONDS):
            return 0
        return max(1, capacity - self._workers.in_flight)

    async def _result(
        self, batch: Sequence[Waiting], span: DeliverySpan | None
    ) -> DeliveryResult:
        """Post one card for the batch and return what it came to.

        Raises:
            StoppedError: The daemon stops.
            ClaimedError: Another process has claimed one of the batch.
            _ApartError: Something failed unforeseen before the card of several was posted.
        """
        try:
            return await self._posted(batch, span)
        except (StoppedError, ClaimedError):
            raise
        except Exception as exc:
            why = log_unforeseen("delivery_failed", exc, **identity(batch[0][1]))
            if len(batch) > 1:
                raise _ApartError from exc
            return DeliveryResult(reason=Reason.INTERNAL_ERROR, detail=why)

    async def _posted(
        self, batch: Sequence[Waiting], span: DeliverySpan | None
    ) -> DeliveryResult:
        entry, subject = batch[0]
        digest_id, alone = None, None
        if len(batch) > 1:
            link = self._dependencies.renderer.acknowledge_link
            subject = digest_of([each for _, each in batch], link)
            digest_id = subject.id
        if span is not None:
            subject = replace(subject, traceparent=span.traceparent)
        if entry.goes_alone(self._dependencies.redis.max_deliveries):
            alone = Alone(self._dependencies.group, entry, self._limiter.sleep)

        async def still_ours() -> bool:
            return self._surely_ours(batch) or all(
                [await self._still_ours(entry) for entry, _ in batch]
            )

        async def render() -> DeliveryResult:
            return render_body(
                self._dependencies.renderer,
                entry,
                subject,
                max_card_bytes=self._dependencies.delivery.max_card_bytes,
                max_deliveries=self._dependencies.redis.max_deliveries,
            )

        rendered = await (render() if alone is None else alone.do(render))
        if digest_id is not None:
            rendered = replace(rendered, digest_id=digest_id)
        if rendered.reason is not None:
            return rendered
        return await self._poster.post(subject, rendered, still_ours=still_ours, alone=alone)

    async def _bury_unreadable(self, entry: Entry) -> None:
        detail = "the lane entry is not a notification; only notifier may write to lanes"
        await self._bury(entry, Reason.INVALID_EVENT, detail)
        log.error("notification_unreadable", entry_id=entry.id, channel=self._limiter.channel)

    async def _bury(self, entry: Entry, reason: Reason, detail: str) -> None:
        """Make a dead letter of a lane's entry as it is, without an outcome."""
        letter = of_entry(
            "delivery",
            reason,
            detail,
            event=(entry.fields or {}).get(b"notification", b""),
            entry=entry,
            at=self._dependencies.now(),
            known={"channel": self._limiter.channel},
        )
        await self._hop_batcher.hop(
            [Move(entry.stream, entry.id, ((self._keys.dead, letter),))]
        )
        self._let_go([entry])
        metrics.DEAD_LETTERS.labels(reason.value).inc()
