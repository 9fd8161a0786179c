"""Bring the gauges of /metrics up to date when they are asked for."""

from __future__ import annotations

import asyncio
import time

import structlog

from notifier.daemon.parts import Daemon
from notifier.errors import UnreachableError
from notifier.stages.stage import Every
from notifier.streams.keys import Keys
from notifier.telemetry import metrics

_LEAST_INTERVAL_SECONDS = 2.0
_REDIS_TIMEOUT_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Observer:
    """Reads what the stages cannot know: what waits in streams, for whoever scrapes."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._due = Every(_LEAST_INTERVAL_SECONDS, time.monotonic)

    async def observe(self) -> None:
        """Set the gauges; without Redis those of streams keep their last value and the part redis says so."""
        for part, state in self._daemon.health.parts.items():
            metrics.PART_UP.labels(part).set(state == "ok")
        for gate in self._daemon.gates:
            metrics.BREAKER_OPEN.labels(gate.channel).set(not gate.breaker.closed)
            metrics.PAUSED_SECONDS.labels(gate.channel).set(gate.pause_left_seconds)
        in_hand = dict.fromkeys(self._daemon.config.channels, 0)
        for lane in self._daemon.lanes:
            in_hand[lane.channel] = in_hand.get(lane.channel, 0) + lane.in_hand
        for channel, count in in_hand.items():
            metrics.IN_FLIGHT.labels(channel).set(count)
        if not self._due.due():
            return
        try:
            async with asyncio.timeout(_REDIS_TIMEOUT_SECONDS):
                for stream in self._daemon.config.streams:
                    await self._observe_streams(Keys(stream))
        except (UnreachableError, TimeoutError) as exc:
            log.warning("streams_not_observed", reason=str(exc) or "timed out")

    async def _observe_streams(self, keys: Keys) -> None:
        stream = keys.stream
        await self._backlog(stream, (stream, "intake", "", ""), emptied=False)
        await self._backlog(keys.outcomes, (stream, "recorder", "", ""), emptied=True)
        for channel in self._daemon.config.channels:
            for urgency in ("urgent", "normal"):
                lane = keys.lane(channel, urgent=urgency == "urgent")
                await self._backlog(lane, (stream, "delivery", channel, urgency), emptied=True)
        kept = await self._daemon.group.length(keys.dead)
        metrics.DEAD_LETTERS_KEPT.labels(stream).set(kept)

    async def _backlog(
        self, key: str, labels: tuple[str, str, str, str], *, emptied: bool
    ) -> None:
        backlog = await self._daemon.group.backlog(key, emptied=emptied)
        metrics.BACKLOG.labels(*labels).set(backlog.entries)
        metrics.OLDEST_SECONDS.labels(*labels).set(backlog.oldest_seconds)
