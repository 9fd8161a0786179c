"""Rows of notifier top: waiting entries, and rates of two snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from notifier.broker.rate_limit import RateLimits
from notifier.broker.stats import (
    EventStreamStats,
    StreamStats,
    action_stats,
    event_stream_stats,
)
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.telemetry.clock import duration

_HELD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every stream and channel at one moment."""

    taken_at: float
    """Monotonic seconds."""
    overviews: tuple[EventStreamStats, ...]
    actions: StreamStats
    """Actions of people that are not in Postgres yet."""
    paused_seconds: Mapping[str, float]
    """By channel, from Retry-After."""


class SnapshotReader:
    """Reads with one command for each event stream, and for each pause."""

    def __init__(self, streams: Streams, config: Config, *, clock: Callable[[], float]) -> None:
        self._streams = streams
        self._config = config
        self._clock = clock

    async def read(self) -> Snapshot:
        """Return the snapshot of this moment; raises StreamError."""
        channels = tuple(self._config.channels)
        overviews = await asyncio.gather(
            *(
                event_stream_stats(self._streams, stream, channels)
                for stream in self._config.streams
            )
        )
        actions = await action_stats(self._streams)
        pauses = await RateLimits(self._streams).pauses(channels)
        return Snapshot(
            self._clock(), tuple(overviews), actions, dict(zip(channels, pauses, strict=True))
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """One stream, or several together."""

    waiting: int
    oldest_seconds: float
    in_flight: int
    consumers: int
    in_rate: float | None
    """Entries a second; None: unknown (before Redis 7.0, or this is the first snapshot)."""
    out_rate: float | None


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel's two lanes."""

    channel: str
    urgent: Flow
    normal: Flow
    both: Flow
    state: str


@dataclass(frozen=True, slots=True)
class StreamRows:
    """An event stream."""

    stream: str
    intake: Flow
    delivery: Flow
    recorder: Flow
    dead_letters: int
    oldest_dead_seconds: float
    channels: tuple[ChannelRow, ...]


def document(now: Snapshot, before: Snapshot | None) -> dict[str, object]:
    """Return the rows as --json prints them."""
    return {
        "streams": [
            asdict(each, dict_factory=_with_old_names) for each in rows_of(now, before)
        ],
        "actions": asdict(actions_flow(now, before), dict_factory=_with_old_names),
        "paused_seconds": dict(now.paused_seconds),
    }


def _with_old_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {"in_hand" if name == "in_flight" else name: value for name, value in pairs}


def rows_of(now: Snapshot, before: Snapshot | None) -> tuple[StreamRows, ...]:
    """Return the rows of every event stream; rates count from `before`."""
    seconds = now.taken_at - before.taken_at if before else 0.0
    earlier = {each.stream: each for each in before.overviews} if before else {}
    return tuple(
        _stream(each, earlier.get(each.stream), seconds, now) for each in now.overviews
    )


def actions_flow(now: Snapshot, before: Snapshot | None) -> Flow:
    """Return the flow of people's actions into Postgres."""
    seconds = now.taken_at - before.taken_at if before else 0.0
    return _flow(now.actions, before.actions if before else None, seconds)


def _stream(
    overview: EventStreamStats, before: EventStreamStats | None, seconds: float, now: Snapshot
) -> StreamRows:
    channels = []
    for channel in dict.fromkeys(channel for channel, _ in overview.lanes):
        urgent, normal = (
            _flow(
                overview.lanes[(channel, urgency)],
                before.lanes.get((channel, urgency)) if before else None,
                seconds,
            )
            for urgency in ("urgent", "normal")
        )
        both = _together([urgent, normal])
        state = _state(both, now.paused_seconds.get(channel, 0.0))
        channels.append(ChannelRow(channel, urgent, normal, both, state))
    return StreamRows(
        overview.stream,
        _flow(overview.events, before.events if before else None, seconds),
        _together(row.both for row in channels),
        _flow(overview.outcomes, before.outcomes if before else None, seconds),
        overview.dead.length,
        overview.dead.oldest_seconds,
        tuple(channels),
    )


def _flow(now: StreamStats, before: StreamStats | None, seconds: float) -> Flow:
    in_rate = out_rate = None
    if (
        before is not None
        and seconds > 0
        and now.added is not None
        and before.added is not None
    ):
        came = max(0, now.added - before.added)
        in_rate = came / seconds
        out_rate = max(0, came - (now.waiting - before.waiting)) / seconds
    return Flow(now.waiting, now.oldest_seconds, now.pending, now.consumers, in_rate, out_rate)


def _together(flows: Iterable[Flow]) -> Flow:
    every = list(flows)
    return Flow(
        sum(flow.waiting for flow in every),
        max((flow.oldest_seconds for flow in every), default=0.0),
        sum(flow.in_flight for flow in every),
        max((flow.consumers for flow in every), default=0),
        _sum(flow.in_rate for flow in every),
        _sum(flow.out_rate for flow in every),
    )


def _sum(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def _state(flow: Flow, paused_seconds: float) -> str:
    if paused_seconds > 0:
        return f"paused {duration(paused_seconds)}"
    if flow.waiting and flow.oldest_seconds >= _HELD_SECONDS:
        return "behind"
    return ""
