"""Lanes of channels that were taken out of the settings: remember whose lanes there are, and take notifications out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, cast

from redis.exceptions import ResponseError

from notifier.broker.client import Client, redis_errors
from notifier.broker.entries import Entry
from notifier.broker.group import ConsumerGroup
from notifier.broker.history import entries_between
from notifier.broker.hop import Move
from notifier.broker.keys import Keys
from notifier.broker.refusals import refusal
from notifier.broker.scripts import Script
from notifier.config import RedisSettings
from notifier.dead_letters.model import Reason, of_entry, of_notification
from notifier.events.notification import decode
from notifier.events.outcome import Attempts, Status, encode_outcome

_AT_ONCE = 50


class Drained(IntEnum):
    """What became of one notification."""

    GONE = 0
    DONE = 1
    IN_FLIGHT = 2
    """A process delivers it."""


class AbandonedLanes:
    """Knows every channel that some process has ever had; all raise StreamError when Redis is away."""

    def __init__(self, client: Client, settings: RedisSettings) -> None:
        self._client = client
        self._settings = settings
        self._drain = Script.read(__package__, "drain")

    async def remember(self, stream: str, channels: Collection[str]) -> None:
        """Note that these channels have lanes."""
        async with redis_errors(self._client, self._settings.url):
            await cast(
                "Any",
                self._client.hset(Keys(stream).channels, mapping=dict.fromkeys(channels, "1")),
            )

    async def waiting(self, stream: str) -> dict[str, tuple[int, int]]:
        """Return by channel how many notifications its urgent and its normal lane hold."""
        keys = Keys(stream)
        found = {}
        async with redis_errors(self._client, self._settings.url):
            known: Any = await cast("Any", self._client.hgetall(keys.channels))
            for name in sorted(each.decode() for each in known):
                urgent, normal = [
                    await self._length(keys.lane(name, urgent=urgent))
                    for urgent in (True, False)
                ]
                found[name] = (urgent, normal)
        return found

    async def _length(self, lane: str) -> int:
        try:
            return int(await self._client.xlen(lane))
        except ResponseError as exc:
            if "WRONGTYPE" not in str(exc):
                raise
            return 0

    async def drain(
        self, group: ConsumerGroup, stream: str, channel: str, detail: str
    ) -> Counter[Drained]:
        """Make dead letters of the notifications in a channel's lanes, except of those in flight.

        Raises:
            StreamError: Redis is away, or refuses one of them, which stays in its lane; asking again is safe.
        """
        counts: Counter[Drained] = Counter()
        for urgent in (True, False):
            lane = Keys(stream).lane(channel, urgent=urgent)
            moves: list[Move] = []
            async for entry in entries_between(group, lane, None, None):
                moves.append(_move(entry, Keys(stream), detail))
                if len(moves) == _AT_ONCE:
                    counts.update(await self.move(lane, moves))
                    moves = []
            if moves:
                counts.update(await self.move(lane, moves))
        return counts

    async def move(self, lane: str, moves: Sequence[Move]) -> list[Drained]:
        """Do these moves out of a lane in one step, except of entries in flight.

        Raises:
            StreamError: Redis is away, or refuses one of them, which stays in its lane; asking again is safe.
        """
        keys = [lane]
        idle_ms = int(self._settings.lease_seconds * 1000)
        argv: list[object] = [self._settings.group, idle_ms, len(moves)]
        for move in moves:
            argv += (move.entry_id, len(move.targets))
            for target, fields in move.targets:
                if target not in keys:
                    keys.append(target)
                argv += (keys.index(target) + 1, 2 * len(fields))
                for name, value in fields.items():
                    argv += (name, value)
        async with redis_errors(self._client, self._settings.url):
            results = await self._drain.run(self._client, keys, argv)
        for result in results:
            if isinstance(result, bytes):
                raise refusal(self._settings.url, result)
        return [Drained(result) for result in results]


def _move(entry: Entry, keys: Keys, detail: str) -> Move:
    text = (entry.fields or {}).get(b"notification", b"")
    at, source = datetime.now(UTC), (entry.stream, entry.id)
    try:
        notification = decode(text)
    except (ValueError, KeyError, TypeError):
        letter = of_entry(
            "delivery",
            Reason.INVALID_EVENT,
            "the lane entry is not a notification; only notifier may write to lanes",
            event=text,
            source=source,
            at=at,
        )
        return Move(entry.stream, entry.id, ((keys.dead, letter),))
    reason = Reason.UNKNOWN_CHANNEL
    outcome = encode_outcome(
        notification,
        Status.DEAD_LETTERED,
        Attempts(),
        error=detail,
        host=None,
        template=None,
        card_json=None,
        at=at,
        reason=reason.value,
    )
    letter = of_notification(
        notification, reason, detail, status=None, attempts=0, source=source, at=at
    )
    return Move(
        entry.stream, entry.id, ((keys.outcomes, {"outcome": outcome}), (keys.dead, letter))
    )
