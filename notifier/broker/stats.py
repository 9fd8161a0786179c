"""Count waiting entries, their age and consumers, in one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifier.broker.keys import Keys, accepted_stream
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams

_STATS = Script.read(__package__, "replies", "stats")
_COUNTED_AT_MOST = 1_000
_DELETED, _KEPT, _NO_GROUP = "1", "0", "-"

Urgency = str
"""urgent or normal."""
URGENCIES: tuple[Urgency, ...] = ("urgent", "normal")


@dataclass(frozen=True, slots=True)
class Backlog:
    """The entries that wait in a stream."""

    entries: int
    """Before Redis 7.0 an event stream is counted up to 1,000 entries."""
    oldest_seconds: float
    """Age of the oldest; 0 when none waits."""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One stream at one moment."""

    waiting: int
    """Not acknowledged yet. Before Redis 7.0 an event stream is counted up to 1,000."""
    oldest_seconds: float
    """Age of the oldest that waits; 0 when none does."""
    pending: int
    """Of these, in flight in some process."""
    group: bool
    """Whether it was ever read."""
    consumers: int
    """Before Redis 7.2 only those that were given an entry, or have shown themselves (Consumer.appear)."""
    silent_seconds: float | None
    """Since a consumer last asked for entries or showed itself (before Redis 7.2: was given one); None when there is no consumer."""
    added: int | None
    """Entries ever added; None before Redis 7.0."""
    length: int
    """Entries in the stream, acknowledged ones too where they are kept."""

    @property
    def backlog(self) -> Backlog:
        """Return the entries that wait."""
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


async def event_stream_stats(
    streams: Streams, stream: str, channels: Sequence[str]
) -> EventStreamStats:
    """Count an event stream and these channels' lanes; raises StreamError."""
    keys = Keys(stream)
    labels = [(channel, urgency) for channel in channels for urgency in URGENCIES]
    lanes = [keys.lane(channel, urgent=urgency == "urgent") for channel, urgency in labels]
    events, outcomes, dead, *rest = await _count(
        streams,
        [stream, keys.outcomes, keys.dead, *lanes],
        [_KEPT, _DELETED, _NO_GROUP, *[_DELETED] * len(lanes)],
    )
    return EventStreamStats(
        stream, events, outcomes, dead, dict(zip(labels, rest, strict=True))
    )


async def action_stats(streams: Streams) -> StreamStats:
    """Count the actions that wait for Postgres; raises StreamError."""
    [stats] = await _count(streams, [accepted_stream(streams.group_name)], [_DELETED])
    return stats


async def _count(
    streams: Streams, keys: Sequence[str], kinds: Sequence[str]
) -> list[StreamStats]:
    argv = [streams.group_name, _COUNTED_AT_MOST, *kinds]
    return [_state(row) for row in await streams.run(_STATS, keys, argv)]


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
