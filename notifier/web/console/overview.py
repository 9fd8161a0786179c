"""The first page: health of the process, backlog and limits of channels."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from notifier.broker.rate_limit import RateLimits
from notifier.broker.stats import URGENCIES, Backlog, event_stream_stats
from notifier.config import Config
from notifier.config.models import RateLimitSettings
from notifier.telemetry.clock import duration
from notifier.telemetry.health import ChannelState, Readiness, ServerState
from notifier.web.console.pages import ConsoleDependencies, Pages, Unavailable, read_from

REFRESH_CHOICES = (5, 10, 30)
_FRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class StreamsNow:
    """The backlogs of all event streams, and the limits of the channels."""

    intake: Backlog
    outcomes: Backlog
    lanes: Mapping[tuple[str, bool], Backlog]
    """(channel, urgent) → its backlog."""
    pauses: Mapping[str, float]
    """Channel → seconds until it accepts posts again."""
    spent: Mapping[str, float]
    """Channel → seconds until its whole burst is free again."""
    dead: int


@dataclass(frozen=True, slots=True)
class State:
    """The state of a channel: label, meaning, and tone (good, warn, bad)."""

    word: str
    meaning: str
    tone: str


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One channel."""

    channel: str
    title: str
    urgent: Backlog
    normal: Backlog
    state: State
    sent_lately: int | None
    free: int
    """Posts that may start at once now."""


@dataclass(frozen=True, slots=True)
class HealthSummary:
    """The components of this process."""

    state: str
    """healthy, degraded or failed."""
    failed: tuple[tuple[str, str], ...]
    """Component and why it fails."""
    warnings: tuple[tuple[str, str], ...]
    healthy: tuple[str, ...]


def health_summary(readiness: Readiness) -> HealthSummary:
    """Sort the components of /readyz by their state."""
    failed = {
        name: "has not worked yet" if state == "starting" else state
        for name, state in readiness.components.items()
        if state != "ok" and name not in readiness.warnings
    }
    if readiness.redis.state is ServerState.FAULT:
        failed["redis"] = readiness.redis.detail
    healthy = "degraded" if readiness.warnings else "healthy"
    return HealthSummary(
        healthy if readiness.ready else "failed",
        tuple(sorted(failed.items())),
        tuple(sorted(readiness.warnings.items())),
        tuple(sorted(name for name, state in readiness.components.items() if state == "ok")),
    )


def lane_rows(
    config: Config,
    streams: StreamsNow,
    *,
    channels: Mapping[str, ChannelState],
    sent: Mapping[str, int] | None,
) -> tuple[LaneRow, ...]:
    """Return a row for each channel, in the order of the settings.

    Args:
        config: The current settings.
        streams: The backlogs.
        channels: The states of the channels in this process.
        sent: Channel → notifications delivered in the last minute; None: unknown.
    """
    none = Backlog(0, 0.0)
    rows = []
    for channel, settings in config.channels.items():
        free = _free(config.rate_limit, streams.spent.get(channel, 0.0))
        state = _state(
            channels.get(channel, ChannelState("missing")),
            paused=streams.pauses.get(channel, 0.0),
            full=free == 0,
        )
        rows.append(
            LaneRow(
                channel,
                settings.title,
                streams.lanes.get((channel, True), none),
                streams.lanes.get((channel, False), none),
                state,
                None if sent is None else sent.get(channel, 0),
                free,
            )
        )
    return tuple(rows)


def _state(channel: ChannelState, *, paused: float, full: bool) -> State:
    if channel.webhook != "configured":
        which = "still a placeholder" if channel.webhook == "placeholder" else "missing"
        why = f"Its webhook is {which}; its cards become dead letters."
        return State("No webhook", why, "bad")
    if channel.detail and channel.detail != "starting":
        return State("Misconfigured", channel.detail, "bad")
    if channel.breaker == "open":
        return State(
            "Failing",
            "It failed several times in a row. The breaker is open: one card at a time tests the channel.",
            "bad",
        )
    if paused > 0:
        why = f"Teams asked to wait (Retry-After): {duration(paused)} more."
        return State("Paused", why, "warn")
    if full:
        return State("At its limit", "Cards wait their turn under the rate limit.", "warn")
    return State("Ready", "", "good")


def _free(limit: RateLimitSettings, spent_seconds: float) -> int:
    if not limit.requests:
        return limit.burst
    each = limit.period_seconds / limit.requests
    return max(0, min(limit.burst, math.floor(limit.burst - spent_seconds / each + 1e-9)))


def chosen_refresh(text: str) -> int | None:
    """Return after how many seconds the page loads again; None: never."""
    return int(text) if text in {str(choice) for choice in REFRESH_CHOICES} else None


class OverviewPage:
    """GET /console."""

    def __init__(self, dependencies: ConsoleDependencies, pages: Pages) -> None:
        self._dependencies = dependencies
        self._pages = pages
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._streams: StreamsNow | None = None

    async def show(self, request: web.Request) -> web.Response:
        """Show the health of the process and its channels."""
        dependencies = self._dependencies
        readiness, streams, critical, sent = await asyncio.gather(
            dependencies.readiness(),
            read_from("Redis", self._latest_streams()),
            read_from("Postgres", dependencies.store.unacknowledged()),
            read_from("Postgres", dependencies.store.sent_lately()),
        )
        lanes: Sequence[LaneRow] | Unavailable
        if isinstance(streams, Unavailable):
            lanes = streams
        else:
            lanes = lane_rows(
                dependencies.config(),
                streams,
                channels=readiness.channels,
                sent=None if isinstance(sent, Unavailable) else sent,
            )
        if not isinstance(critical, Unavailable):
            critical = [event for event in critical if event.acknowledged_by is None]
        return self._pages.page(
            request,
            "overview.html",
            refresh=chosen_refresh(request.query.get("refresh", "")),
            refresh_choices=REFRESH_CHOICES,
            health=health_summary(readiness),
            streams=streams,
            lanes=lanes,
            limit=dependencies.config().rate_limit,
            critical=critical,
            delivers=any(each.breaker != "unused" for each in readiness.channels.values()),
        )

    async def _latest_streams(self) -> StreamsNow:
        """Return the backlogs; Redis is read once in two seconds for all viewers.

        Raises:
            StreamError: Redis is away.
        """
        async with self._lock:
            now = self._dependencies.clock()
            if self._streams is None or now - self._read_at >= _FRESH_SECONDS:
                self._streams = None
                self._streams = await _read_streams(self._dependencies)
                self._read_at = self._dependencies.clock()
            return self._streams


async def _read_streams(dependencies: ConsoleDependencies) -> StreamsNow:
    config, streams = dependencies.config(), dependencies.streams
    channels, limits = tuple(config.channels), RateLimits(streams)
    found = [await event_stream_stats(streams, stream, channels) for stream in config.streams]
    lanes = {
        (channel, urgency == "urgent"): _sum(
            [each.lanes[(channel, urgency)].backlog for each in found]
        )
        for channel in channels
        for urgency in URGENCIES
    }
    return StreamsNow(
        _sum([each.events.backlog for each in found]),
        _sum([each.outcomes.backlog for each in found]),
        lanes,
        dict(zip(channels, await limits.pauses(channels), strict=True)),
        {channel: await limits.spent(channel) for channel in channels},
        sum(each.dead.length for each in found),
    )


def _sum(backlogs: Sequence[Backlog]) -> Backlog:
    return Backlog(
        sum(each.entries for each in backlogs), max(each.oldest_seconds for each in backlogs)
    )
