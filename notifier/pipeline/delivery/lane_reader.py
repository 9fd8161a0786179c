"""Read the two lanes of a channel, urgent notifications first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.config.models import DeliverySettings, RedisSettings
from notifier.errors import StreamError
from notifier.pipeline.delivery.limiter import ChannelLimiter
from notifier.telemetry.clock import Every


class LaneReader:
    """Read new entries of both lanes, and claim those of dead processes."""

    def __init__(
        self,
        urgent: str,
        normal: str,
        group: Consumer,
        limiter: ChannelLimiter,
        redis_settings: RedisSettings,
    ) -> None:
        self.gathering = False
        """The last read was in a burst: notifications of one kind may share a card."""
        self._urgent = urgent
        self._normal = normal
        self._group = group
        self._limiter = limiter
        self._redis = redis_settings
        self._urgent_left = False
        self._claim = Every(redis_settings.lease_seconds / 3, time.monotonic)

    async def read(
        self, room: int, *, claimable: int, settings: DeliverySettings
    ) -> list[Entry]:
        """Claim due entries up to `claimable`, or else read new ones.

        It reads up to `room` entries of each lane.

        Raises:
            StreamError: Redis is away.
        """
        entries = await self._claim_left(max(room, claimable)) if self._claim.due() else []
        if not entries:
            entries = await self._read(room)
            with suppress(StreamError):  # what has been read is delivered all the same
                entries += await self._read_ahead(entries, settings)
        return entries

    async def _read(self, room: int) -> list[Entry]:
        """Read up to `room` urgent entries if there are any, else the first ones."""
        group, urgent = self._group, self._urgent
        # One read takes as many of each lane. Where there is no hurry, or urgent ones were left, the normal lane has to wait.
        if self._limiter.limited or not self._limiter.breaker.closed or self._urgent_left:
            entries = await group.read([urgent], count=room, block_seconds=0)
            self._urgent_left = len(entries) == room
            if entries:
                return entries
        entries = await group.read(
            [urgent, self._normal], count=room, block_seconds=self._redis.block_seconds
        )
        self._urgent_left = sum(entry.stream == urgent for entry in entries) == room
        return entries

    async def _read_ahead(
        self, entries: Sequence[Entry], settings: DeliverySettings
    ) -> list[Entry]:
        """In a burst, read as many more of the normal lane as may share a card."""
        lane = self._normal
        normal = sum(entry.stream == lane for entry in entries)
        self.gathering = (
            bool(settings.digest_threshold and normal and self._limiter.limited)
            and await self._group.length(lane) > settings.digest_threshold
        )
        if not self.gathering or normal >= settings.digest_size:
            return []
        return await self._group.read(
            [lane], count=settings.digest_size - normal, block_seconds=0
        )

    async def _claim_left(self, count: int) -> list[Entry]:
        """Claim the entries of a dead process, urgent ones first.

        It claims as many as may be posted at once, so that they go before newer ones.
        """
        entries = await self._claimed(self._urgent, count)
        if not entries and self._limiter.limited:
            entries = await self._group.read([self._urgent], count=1, block_seconds=0)
            if entries:
                self._claim.again()
        return entries or await self._claimed(self._normal, count)

    async def _claimed(self, lane: str, count: int) -> list[Entry]:
        entries = await self._group.claim(
            lane, idle_seconds=self._redis.lease_seconds, count=count
        )
        if entries:
            self._claim.again()
        return entries
