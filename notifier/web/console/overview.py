"""The first page: is it well, what waits where, and what holds a channel back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from notifier.broker.stats import Backlog
from notifier.config import Config, RateLimitSettings
from notifier.telemetry.durations import duration
from notifier.telemetry.health import ChannelState, Readiness, ServerState
from notifier.web.console.pages import Pages
from notifier.web.console.parts import Away, ConsoleDependencies, known
from notifier.web.console.repository import UnacknowledgedEvent
from notifier.web.console.streams import StreamsNow, StreamsReader

REFRESH_CHOICES = (5, 10, 30)


@dataclass(frozen=True, slots=True)
class State:
    """How a thing is: one or two words, what they mean, and how serious it is (good, warn, bad)."""

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
    limit: str
    free: str


@dataclass(frozen=True, slots=True)
class HealthSummary:
    """The parts of this process."""

    ready: bool
    troubles: tuple[tuple[str, str], ...]
    """Part and what keeps it from its work."""
    warnings: tuple[tuple[str, str], ...]
    working: tuple[str, ...]


def health_summary(readiness: Readiness) -> HealthSummary:
    """Sort what /readyz says into what does not work, what needs a look, and what works."""
    parts = readiness.components
    troubles = {
        part: "has not worked yet" if state == "starting" else state
        for part, state in parts.items()
        if state != "ok" and part not in readiness.warnings
    }
    if readiness.redis.state is ServerState.FAULT:
        troubles["redis"] = readiness.redis.detail
    return HealthSummary(
        readiness.ready,
        tuple(sorted(troubles.items())),
        tuple(sorted(readiness.warnings.items())),
        tuple(sorted(part for part, state in parts.items() if state == "ok")),
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
        config: The settings in force.
        streams: What waits.
        channels: What this process knows of each channel.
        sent: Channel → notifications taken in the last minute; None: not known.
    """
    rows = []
    for channel, settings in config.channels.items():
        spent = streams.spent.get(channel, 0.0)
        state = _state(
            channels.get(channel, ChannelState("missing")),
            paused=streams.pauses.get(channel, 0.0),
            crowded=_free(config.rate_limit, spent) == 0,
        )
        none = Backlog(0, 0.0)
        rows.append(
            LaneRow(
                channel,
                settings.title,
                streams.lanes.get((channel, True), none),
                streams.lanes.get((channel, False), none),
                state,
                None if sent is None else sent.get(channel, 0),
                *_limit_words(config.rate_limit, spent),
            )
        )
    return tuple(rows)


def _state(channel: ChannelState, *, paused: float, crowded: bool) -> State:
    if channel.webhook != "configured":
        which = "still a placeholder" if channel.webhook == "placeholder" else "missing"
        why = f"Its webhook is {which}; its cards become dead letters."
        return State("No webhook", why, "bad")
    if channel.detail and channel.detail != "starting":
        return State("Misconfigured", channel.detail, "bad")
    if channel.breaker == "open":
        return State(
            "Failing",
            "It failed several times in a row. The breaker is open: one card at a time tries whether it is back.",
            "bad",
        )
    if paused > 0:
        return State(
            "Paused", f"Teams asked to wait (Retry-After): {duration(paused)} more.", "warn"
        )
    if crowded:
        return State("At its limit", "Cards wait their turn under the rate limit.", "warn")
    return State("Ready", "", "good")


def _free(limit: RateLimitSettings, spent_seconds: float) -> int:
    """Return how many posts may start at once now."""
    if not limit.requests:
        return limit.burst
    each = limit.period_seconds / limit.requests
    return max(0, min(limit.burst, math.floor(limit.burst - spent_seconds / each + 1e-9)))


def _limit_words(limit: RateLimitSettings, spent_seconds: float) -> tuple[str, str]:
    if not limit.requests:
        return "no limit", "–"
    return (
        f"{limit.requests} in {limit.period_seconds:g} s",
        f"{_free(limit, spent_seconds)} of {limit.burst}",
    )


def refresh_asked(text: str) -> int | None:
    """Return after how many seconds the page is to be loaded again; None: never."""
    return int(text) if text in {str(choice) for choice in REFRESH_CHOICES} else None


class OverviewPage:
    """GET /console."""

    def __init__(
        self, parts: ConsoleDependencies, pages: Pages, streams: StreamsReader
    ) -> None:
        self._parts = parts
        self._pages = pages
        self._streams = streams

    async def show(self, request: web.Request) -> web.Response:
        """Show how everything is."""
        parts = self._parts
        readiness, streams, critical, sent = await asyncio.gather(
            parts.readiness(),
            known("Redis", self._streams.read()),
            known("Postgres", parts.store.unacknowledged()),
            known("Postgres", parts.store.sent_lately()),
        )
        lanes: Sequence[LaneRow] | Away
        if isinstance(streams, Away):
            lanes = streams
        else:
            lanes = lane_rows(
                parts.config(),
                streams,
                channels=readiness.channels,
                sent=None if isinstance(sent, Away) else sent,
            )
        refresh = refresh_asked(request.query.get("refresh", ""))
        return self._pages.page(
            request,
            "overview.html",
            refresh=refresh,
            refresh_choices=REFRESH_CHOICES,
            health=health_summary(readiness),
            streams=streams,
            lanes=lanes,
            critical=critical if isinstance(critical, Away) else _open(critical),
            delivers=any(each.breaker != "unused" for each in readiness.channels.values()),
        )


def _open(events: Sequence[UnacknowledgedEvent]) -> int:
    return sum(event.taken_by is None for event in events)
