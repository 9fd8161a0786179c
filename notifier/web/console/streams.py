"""What waits in Redis, read for all viewers at once and at most every two seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifier.broker.consumer import Consumer
from notifier.broker.rate_limit import RateLimits
from notifier.broker.stats import URGENCIES, Backlog, StreamStatsReader
from notifier.config import Config
from notifier.web.console.parts import ConsoleDependencies

_FRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class StreamsNow:
    """What waits, over all event streams."""

    intake: Backlog
    outcomes: Backlog
    lanes: Mapping[tuple[str, bool], Backlog]
    """(channel, urgent) → what waits there."""
    pauses: Mapping[str, float]
    """Channel → seconds for which it is to be left alone."""
    spent: Mapping[str, float]
    """Channel → seconds until all of its burst is free again."""
    dead: int


class StreamsReader:
    """Safe to use from many tasks: who comes while another reads gets the same answer."""

    def __init__(self, parts: ConsoleDependencies) -> None:
        self._parts = parts
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._last: StreamsNow | None = None

    async def read(self) -> StreamsNow:
        """Return what waits, as it was at most two seconds ago. Raises StreamError."""
        async with self._lock:
            if self._last is None or self._parts.clock() - self._read_at >= _FRESH_SECONDS:
                self._last = None
                config = self._parts.config()
                self._last = await _read(self._parts.group, config)
                self._read_at = self._parts.clock()
            return self._last


async def _read(group: Consumer, config: Config) -> StreamsNow:
    lookout, channels = StreamStatsReader(group.client, config.redis), tuple(config.channels)
    limits = RateLimits(group)
    overviews = [await lookout.overview(stream, channels) for stream in config.streams]
    lanes = {
        (channel, urgency == "urgent"): _together(
            [each.lanes[(channel, urgency)].backlog for each in overviews]
        )
        for channel in channels
        for urgency in URGENCIES
    }
    return StreamsNow(
        _together([each.events.backlog for each in overviews]),
        _together([each.outcomes.backlog for each in overviews]),
        lanes,
        dict(zip(channels, await limits.pauses(channels), strict=True)),
        {channel: await limits.spent(channel) for channel in channels},
        sum(each.dead.length for each in overviews),
    )


def _together(backlogs: Sequence[Backlog]) -> Backlog:
    return Backlog(
        sum(each.entries for each in backlogs), max(each.oldest_seconds for each in backlogs)
    )
