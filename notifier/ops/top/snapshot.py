"""What `notifier top` shows of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifier.broker.client import Client
from notifier.broker.rate_limit import RateLimits
from notifier.broker.stats import EventStreamStats, StreamStats, StreamStatsReader
from notifier.config import Config


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every stream and channel at one moment."""

    taken_at: float
    """Monotonic seconds."""
    overviews: tuple[EventStreamStats, ...]
    actions: StreamStats
    """What people did and Postgres does not know yet."""
    paused_seconds: Mapping[str, float]
    """By channel: for how long it asked to be left alone (Retry-After)."""


class Watcher:
    """Looks with one command for each event stream, one for the actions, and one for each channel's pause."""

    def __init__(self, client: Client, config: Config, *, clock: Callable[[], float]) -> None:
        self._lookout = StreamStatsReader(client, config.redis)
        self._config = config
        self._clock = clock

    async def look(self) -> Snapshot:
        """Return what there is now; raises StreamError."""
        channels = tuple(self._config.channels)
        overviews = await asyncio.gather(
            *(self._lookout.overview(stream, channels) for stream in self._config.streams)
        )
        actions = await self._lookout.actions()
        pauses = await RateLimits(self._lookout).pauses(channels)
        return Snapshot(
            self._clock(), tuple(overviews), actions, dict(zip(channels, pauses, strict=True))
        )
