"""Update the gauges of /metrics when it is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from notifier.broker.stats import (
    EventStreamStats,
    StreamStats,
    event_stream_stats,
)
from notifier.config import Config
from notifier.daemon.channels import Channels
from notifier.daemon.dependencies import Dependencies
from notifier.dead_letters.model import Reason
from notifier.errors import StoreError, UnreachableError
from notifier.escalation.repository import unacknowledged_critical
from notifier.escalation.rows import Unacknowledged
from notifier.store.database import Connect
from notifier.telemetry import metrics
from notifier.telemetry.clock import Every

_REDIS_INTERVAL_SECONDS = 2.0
_POSTGRES_INTERVAL_SECONDS = 15.0
_OBSERVE_TIMEOUT_SECONDS = 3.0

log = structlog.get_logger(__name__)


def start_series(config: Config) -> None:
    """Create every series that the settings name, so that rates are right."""
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


class Gauges:
    """Sets the gauges of streams, channels, components and Postgres."""

    def __init__(self, dependencies: Dependencies, channels: Channels) -> None:
        self._dependencies = dependencies
        self._channels = channels
        self._due = Every(_REDIS_INTERVAL_SECONDS, time.monotonic)
        self._components: set[str] = set()
        self._warnings: set[str] = set()
        self._unacknowledged = (
            UnacknowledgedGauge(
                lambda: dependencies.config,
                dependencies.pool.share(1, seconds=_OBSERVE_TIMEOUT_SECONDS),
            )
            if "recorder" in dependencies.stages
            else None
        )

    async def observe(self) -> None:
        """Set the gauges; without Redis those of streams keep their values."""
        self._observe_components()
        self._observe_channels()
        if self._unacknowledged is None:
            await self._observe_redis()
        else:
            await asyncio.gather(self._observe_redis(), self._unacknowledged.observe())

    def _observe_components(self) -> None:
        health = self._dependencies.health
        for component in self._components - set(health.components):
            metrics.COMPONENT_UP.remove(component)
        for component, state in health.components.items():
            metrics.COMPONENT_UP.labels(component).set(state == "ok")
        self._components = set(health.components)
        self._warnings |= set(health.warnings)
        for component in self._warnings:
            metrics.COMPONENT_WARNING.labels(component).set(component in health.warnings)

    def _observe_channels(self) -> None:
        # Cleared first: a channel that a reload removed has no series.
        for gauge in (metrics.BREAKER_OPEN, metrics.PAUSED_SECONDS, metrics.IN_FLIGHT):
            gauge.clear()
        limiters = {limiter.channel: limiter for limiter in self._channels.limiters}
        in_flight = dict.fromkeys([*self._dependencies.config.channels, *limiters], 0)
        for lane in self._channels.lanes:
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
        config = self._dependencies.config
        try:
            async with asyncio.timeout(_OBSERVE_TIMEOUT_SECONDS):
                channels = tuple(config.channels)
                found = [
                    await event_stream_stats(self._dependencies.group, stream, channels)
                    for stream in config.streams
                ]
        except (UnreachableError, TimeoutError) as exc:
            log.warning("streams_not_observed", reason=str(exc) or "timed out")
        else:
            metrics.BACKLOG.clear()
            metrics.OLDEST_SECONDS.clear()
            for overview in found:
                _show_stream(overview)
            metrics.OBSERVED_TIMESTAMP.labels("redis").set_to_current_time()


def _show_stream(overview: EventStreamStats) -> None:
    _show_backlog((overview.stream, "intake", "", ""), overview.events)
    _show_backlog((overview.stream, "recorder", "", ""), overview.outcomes)
    for (channel, urgency), lane in overview.lanes.items():
        _show_backlog((overview.stream, "delivery", channel, urgency), lane)
    metrics.DEAD_LETTERS_KEPT.labels(overview.stream).set(overview.dead.length)


def _show_backlog(labels: tuple[str, str, str, str], state: StreamStats) -> None:
    metrics.BACKLOG.labels(*labels).set(state.waiting)
    metrics.OLDEST_SECONDS.labels(*labels).set(state.oldest_seconds)


class UnacknowledgedGauge:
    """Counts unacknowledged CRITICAL notifications in Postgres.

    If Postgres does not answer, its series vanish.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        connect: Connect,
        *,
        interval_seconds: float = _POSTGRES_INTERVAL_SECONDS,
    ) -> None:
        self._config = config
        self._connect = connect
        self._due = Every(interval_seconds, time.monotonic)
        self._lock = asyncio.Lock()

    async def observe(self) -> None:
        """Update the gauges; takes as long as `connect` allows."""
        async with self._lock:
            if not self._due.due():
                return
            within = self._config().escalation.forget_after_seconds
            try:
                found = await unacknowledged_critical(self._connect, within_seconds=within)
            except StoreError as exc:
                metrics.UNACKNOWLEDGED_CRITICAL.clear()
                metrics.UNACKNOWLEDGED_OLDEST_SECONDS.clear()
                log.info("unacknowledged_not_observed", reason=str(exc))
            else:
                self._show(found)

    def _show(self, found: Sequence[Unacknowledged]) -> None:
        channels = self._config().channels
        counts: dict[str, tuple[int, float]] = dict.fromkeys(channels, (0, 0.0))
        for each in found:
            name = each.channel if each.channel in channels else metrics.OTHER
            count, oldest = counts.get(name, (0, 0.0))
            counts[name] = (count + each.count, max(oldest, each.oldest_seconds))
        for name, (count, oldest) in counts.items():
            metrics.UNACKNOWLEDGED_CRITICAL.labels(name).set(count)
            metrics.UNACKNOWLEDGED_OLDEST_SECONDS.labels(name).set(oldest)
        metrics.OBSERVED_TIMESTAMP.labels("postgres").set_to_current_time()
