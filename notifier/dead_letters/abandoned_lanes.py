"""Find and empty lanes of channels that were removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime

from notifier.broker.entries import Entry
from notifier.broker.errors import of_another_type
from notifier.broker.hop import Move, MoveResult
from notifier.broker.keys import Keys
from notifier.broker.streams import Streams
from notifier.dead_letters.model import Reason, of_entry, of_notification
from notifier.errors import StreamError
from notifier.events.notification import decode
from notifier.events.outcome import encode_outcome, outcome_of

_AT_ONCE = 50


async def lanes_waiting(streams: Streams, stream: str) -> dict[str, tuple[int, int]]:
    """Return by known channel the lengths of its urgent and normal lane.

    Raises:
        StreamError: Redis is away.
    """
    keys = Keys(stream)
    return {
        name: (
            await _length(streams, keys.lane(name, urgent=True)),
            await _length(streams, keys.lane(name, urgent=False)),
        )
        for name in await streams.remembered_channels(stream)
    }


async def removed_channels(
    streams: Streams, names: Collection[str], channels: Collection[str]
) -> set[str]:
    """Return the channels with lanes that are not among `channels`.

    Raises:
        StreamError: Redis is away.
    """
    found: set[str] = set()
    for name in names:
        found |= {*await streams.remembered_channels(name)}
    return found - {*channels}


async def drain(
    streams: Streams, stream: str, channel: str, detail: str
) -> Counter[MoveResult]:
    """Make dead letters of a channel's notifications, but those in flight.

    Raises:
        StreamError: Redis is away, or refuses one of them, which stays in its lane; asking again is safe.
    """
    counts: Counter[MoveResult] = Counter()
    for urgent in (True, False):
        lane = Keys(stream).lane(channel, urgent=urgent)
        moves: list[Move] = []
        async for entry in streams.entries_between(lane):
            moves.append(_move(entry, Keys(stream), detail))
            if len(moves) == _AT_ONCE:
                counts.update(await streams.move(lane, moves))
                moves = []
        if moves:
            counts.update(await streams.move(lane, moves))
    return counts


async def _length(streams: Streams, lane: str) -> int:
    try:
        return await streams.length(lane)
    except StreamError as exc:
        if not of_another_type(exc):
            raise
        return 0


def _move(entry: Entry, keys: Keys, detail: str) -> Move:
    text = (entry.fields or {}).get(b"notification", b"")
    at = datetime.now(UTC)
    try:
        notification = decode(text)
    except ValueError:
        dead_letter = of_entry(
            "delivery",
            Reason.INVALID_EVENT,
            "the lane entry is not a notification; only notifier may write to lanes",
            event=text,
            entry=entry,
            at=at,
        )
        return Move(entry.stream, entry.id, ((keys.dead, dead_letter),))
    reason = Reason.UNKNOWN_CHANNEL
    outcome = encode_outcome(outcome_of(notification, (), reason=reason, detail=detail, at=at))
    dead_letter = of_notification(notification, reason, detail, entry=entry, at=at)
    return Move(
        entry.stream,
        entry.id,
        ((keys.outcomes, {"outcome": outcome}), (keys.dead, dead_letter)),
    )
