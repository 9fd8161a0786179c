"""What waits in all streams, how old it is and who reads them: one command for each event stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import NoPermissionError

from notifier.broker.client import Client, redis_errors
from notifier.broker.keys import Keys, accepted_stream
from notifier.broker.scripts import Script
from notifier.broker.stats_views import Backlog
from notifier.config import RedisSettings

_COUNTED_AT_MOST = 1_000
_DELETED, _KEPT, _NO_GROUP = "1", "0", "-"

Urgency = str
"""urgent or normal."""
URGENCIES: tuple[Urgency, ...] = ("urgent", "normal")


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One stream at one moment."""

    waiting: int
    """Not acknowledged yet. Before Redis 7.0 an event stream is counted up to 1,000."""
    oldest_seconds: float
    """Age of the oldest that waits; 0 when none does."""
    pending: int
    """Of these, in some process's hand."""
    group: bool
    """Whether somebody has ever read it."""
    consumers: int
    """Before Redis 7.2 only those that were given an entry, or have shown themselves (ConsumerGroup.appear)."""
    silent_seconds: float | None
    """Since a consumer last asked for entries or showed itself (before Redis 7.2: was given one); None when there is no consumer."""
    added: int | None
    """Entries ever added; None before Redis 7.0."""
    length: int
    """Entries in the stream, acknowledged ones too where they are kept."""

    @property
    def backlog(self) -> Backlog:
        """Return what waits."""
        return Backlog(self.waiting, self.oldest_seconds)


@dataclass(frozen=True, slots=True)
class EventStreamStats:
    """Everything that belongs to one event stream."""

    stream: str
    events: StreamStats
    outcomes: StreamStats
    dead: StreamStats
    lanes: Mapping[tuple[str, Urgency], StreamStats]
    """By channel and urgency."""


class StreamStatsReader:
    """Looks at streams without touching them."""

    def __init__(self, client: Client, settings: RedisSettings) -> None:
        self._client = client
        self._settings = settings
        self._script = Script.read(__package__, "overview")

    async def answers(self) -> None:
        """Return when Redis answers; raises StreamError. One that refuses the command answers, too."""
        async with redis_errors(self._client, self._settings.url):
            with suppress(NoPermissionError):
                await self._client.ping()

    async def overview(self, stream: str, channels: Sequence[str]) -> EventStreamStats:
        """Look at an event stream and the lanes of these channels; one command, whatever waits.

        Raises:
            StreamError: Redis is away or does not allow it.
        """
        keys = Keys(stream)
        labels = [(channel, urgency) for channel in channels for urgency in URGENCIES]
        lanes = [keys.lane(channel, urgent=urgency == "urgent") for channel, urgency in labels]
        events, outcomes, dead, *rest = await self._look(
            [stream, keys.outcomes, keys.dead, *lanes],
            [_KEPT, _DELETED, _NO_GROUP, *[_DELETED] * len(lanes)],
        )
        return EventStreamStats(
            stream, events, outcomes, dead, dict(zip(labels, rest, strict=True))
        )

    async def actions(self) -> StreamStats:
        """Look at the actions of people that wait for Postgres; raises StreamError."""
        [state] = await self._look([accepted_stream(self._settings.group)], [_DELETED])
        return state

    async def _look(self, keys: Sequence[str], kinds: Sequence[str]) -> list[StreamStats]:
        argv = [self._settings.group, _COUNTED_AT_MOST, *kinds]
        async with redis_errors(self._client, self._settings.url):
            return [_state(row) for row in await self._script.run(self._client, keys, argv)]


def _state(row: Sequence[int]) -> StreamStats:
    waiting, age_ms, pending, group, consumers, silent_ms, added, length = map(int, row)
    return StreamStats(
        waiting,
        max(0, age_ms) / 1000,
        pending,
        bool(group),
        consumers,
        None if silent_ms < 0 else silent_ms / 1000,
        None if added < 0 else added,
        length,
    )
