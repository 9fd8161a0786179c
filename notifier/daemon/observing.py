"""Bring the gauges of /metrics up to date when they are asked for."""

from __future__ import annotations

import asyncio
import time

import structlog

from notifier.broker.stats import EventStreamStats, StreamStats, StreamStatsReader
from notifier.config import Config
from notifier.daemon.components import Daemon
from notifier.daemon.unacknowledged import UnacknowledgedGauge
from notifier.dead_letters.model import Reason
from notifier.errors import UnreachableError
from notifier.pipeline.stage import Every
from notifier.telemetry import metrics

_LEAST_INTERVAL_SECONDS = 2.0
_REDIS_TIMEOUT_SECONDS = 3.0

log = structlog.get_logger(__name__)


def start_series(config: Config) -> None:
    """Let every series that the settings name exist, so that a rate over it is right from the first increment on."""
    metrics.know_event_types(config.routes)
    metrics.start_channels(config.channels)
    metrics.start_counts(
        routes={
            name: route.priority.value
            for name, route in config.routes.items()
            if "*" not in name
        },
        streams=config.streams,
        reasons=[reason.value for reason in Reason],
    )


class Observer:
    """Reads what the stages cannot know, for whoever scrapes: what waits in streams, and what nobody took."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._due = Every(_LEAST_INTERVAL_SECONDS, time.monotonic)
        self._lookout = StreamStatsReader(daemon.client, daemon.config.redis)
        self._parts: set[str] = set()
        self._warnings: set[str] = set()
        self._unacknowledged = (
            UnacknowledgedGauge(lambda: daemon.config) if "recorder" in daemon.stages else None
        )

    async def observe(self) -> None:
        """Set the gauges; without Redis those of streams keep their last value and the part redis says so."""
        self._observe_process()
        if self._unacknowledged is None:
            await self._observe_redis()
        else:
            await asyncio.gather(self._observe_redis(), self._unacknowledged.observe())

    async def close(self) -> None:
        """Close the connection to Postgres; safe to repeat."""
        if self._unacknowledged is not None:
            await self._unacknowledged.close()

    def _observe_process(self) -> None:
        health = self._daemon.health
        for part in self._parts - set(health.components):
            metrics.PART_UP.remove(part)
        for part, state in health.components.items():
            metrics.PART_UP.labels(part).set(state == "ok")
        self._parts = set(health.components)
        self._warnings |= set(health.warnings)
        for part in self._warnings:
            metrics.PART_WARNING.labels(part).set(part in health.warnings)
        self._observe_channels()

    def _observe_channels(self) -> None:
        # Cleared first: a channel that a reload took away has no series any more.
        for gauge in (metrics.BREAKER_OPEN, metrics.PAUSED_SECONDS, metrics.IN_FLIGHT):
            gauge.clear()
        limiters = {limiter.channel: limiter for limiter in self._daemon.limiters}
        in_flight = dict.fromkeys([*self._daemon.config.channels, *limiters], 0)
        for lane in self._daemon.lanes:
            in_flight[lane.channel] = in_flight.get(lane.channel, 0) + lane.in_flight
        for channel, count in in_flight.items():
            limiter = limiters.get(channel)
            metrics.BREAKER_OPEN.labels(channel).set(
                limiter is not None and not limiter.breaker.closed
            )
            metrics.PAUSED_SECONDS.labels(channel).set(
                limiter.pause_left_seconds if limiter else 0
            )
            metrics.IN_FLIGHT.labels(channel).set(count)

    async def _observe_redis(self) -> None:
        if not self._due.due():
            return
        try:
            async with asyncio.timeout(_REDIS_TIMEOUT_SECONDS):
                channels = tuple(self._daemon.config.channels)
                found = [
                    await self._lookout.overview(stream, channels)
                    for stream in self._daemon.config.streams
                ]
        except (UnreachableError, TimeoutError) as exc:
            log.warning("streams_not_observed", reason=str(exc) or "timed out")
        else:
            metrics.BACKLOG.clear()
            metrics.OLDEST_SECONDS.clear()
            for overview in found:
                _show(overview)
            metrics.OBSERVED_TIMESTAMP.labels("redis").set_to_current_time()


def _show(overview: EventStreamStats) -> None:
    _show_backlog((overview.stream, "intake", "", ""), overview.events)
    _show_backlog((overview.stream, "recorder", "", ""), overview.outcomes)
    for (channel, urgency), lane in overview.lanes.items():
        _show_backlog((overview.stream, "delivery", channel, urgency), lane)
    metrics.DEAD_LETTERS_KEPT.labels(overview.stream).set(overview.dead.length)


def _show_backlog(labels: tuple[str, str, str, str], state: StreamStats) -> None:
    metrics.BACKLOG.labels(*labels).set(state.waiting)
    metrics.OLDEST_SECONDS.labels(*labels).set(state.oldest_seconds)
