"""One consumer of a group: it reads, claims, leases and hops entries."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

from redis.exceptions import RedisClusterException, RedisError, ResponseError
from typing_extensions import override

from notifier.broker import keys
from notifier.broker.client import Client, RedisOptions
from notifier.broker.entries import ALONE, LARGEST_BYTES, Entry, fields_of
from notifier.broker.errors import of_another_type, refusal, takes_no_writes
from notifier.broker.hop import HopResult, Move, pack
from notifier.broker.keys import Keys
from notifier.broker.pool import ReplyTooLargeError, a_read_that_waits
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams
from notifier.errors import StreamError

_New = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]
"""Reply of XREADGROUP."""
_CLAIM = Script.read(__package__, "entry_size", "claim")
_COUNT_DELIVERY = Script.read(__package__, "count_delivery")
_ENSURE_GROUP = Script.read(__package__, "replies", "ensure_group")
_HAS_ROOM = Script.read(__package__, "has_room")
_HOP = Script.read(__package__, "replies", "hop")
_LEASE = Script.read(__package__, "lease")
_REMOVE_CONSUMERS = Script.read(__package__, "replies", "remove_consumers")
_GIVEN_UP_MS = 10**9
_LATEST_ID = "18446744073709551615-0"  # the very last one means new entries
_SLOW_SECONDS = 2.0
_MOMENT_SECONDS = 0.01
_ROOM_BYTES = 8 * 2**20
"""For entries that are claimed together."""


class Consumer(Streams):
    """This process as a consumer of its group."""

    def __init__(self, client: Client, options: RedisOptions, consumer: str) -> None:
        super().__init__(client, options)
        self.consumer = consumer
        self._read_before: set[tuple[str, ...]] = set()
        """Streams that were read together before."""
        self._seen: dict[str, str] = {}
        """The last entry of each stream that a read has returned."""
        self._unseen: set[str] = set()
        """Streams of which entries may have been read whose reply did not arrive."""
        self._trial = asyncio.Lock()
        self._away_at = -math.inf
        """When Redis last failed to answer, or took very long; monotonic seconds."""
        self._slow_seconds = max(_SLOW_SECONDS, options.lease_seconds / 3)
        self._clock = RedisClock(most_ahead_seconds=self._slow_seconds)

    async def ensure(self, streams: Sequence[str]) -> None:
        """Create the group in streams that lack it.

        It begins after the entries that it has acknowledged, else at the first entry.
        """
        for stream in streams:
            reply = await self.run(
                _ENSURE_GROUP,
                [stream, keys.floor(stream, self.group_name)],
                [self.group_name, self.consumer, _GIVEN_UP_MS],
            )
            if isinstance(reply, bytes):
                raise refusal(self._url, reply)

    async def read(
        self,
        streams: Sequence[str],
        *,
        count: int,
        block_seconds: float,
        largest_bytes: int = LARGEST_BYTES,
    ) -> list[Entry]:
        """Read up to `count` new entries of each stream; wait for the first.

        The first read of these streams does not wait, so that a stage is known to work at once.
        Entries that were read before and whose reply was lost, or too large for this process, come first.

        A group that was lost (FLUSHALL, a fresh replica) is made again and nothing is returned this time.
        """
        for stream in self._unseen.intersection(streams):
            entries = await self._read_unseen(stream, count, largest_bytes)
            if entries:
                return entries
        try:
            reply = await self._read_new(streams, count, block_seconds)
        except StreamError as exc:
            self._unseen.update(streams)
            if not isinstance(exc.__cause__, ReplyTooLargeError):
                raise
            return await self.read(
                streams, count=count, block_seconds=0, largest_bytes=largest_bytes
            )
        found: list[Entry] = []
        for name, entries_of_it in reply:
            stream = name.decode()
            found += [Entry(stream, each.decode(), fields) for each, fields in entries_of_it]
            # Before Redis 7.2 an entry that a script adds and takes back ends a read with none.
            if entries_of_it:
                self._seen[stream] = found[-1].id
        return found

    async def _read_new(self, streams: Sequence[str], count: int, block_seconds: float) -> _New:
        asked = tuple(streams)
        patience_ms = int(block_seconds * 1000) if asked in self._read_before else 0
        async with self.errors():
            try:
                with self._watched(patience_ms / 1000), a_read_that_waits():
                    reply = await self.client.xreadgroup(
                        self.group_name,
                        self.consumer,
                        dict.fromkeys(streams, ">"),
                        count=count,
                        block=max(1, patience_ms),
                    )
            except ResponseError as exc:
                if "WRONGTYPE" in str(exc):
                    rest = await self.refused_keys.without_wrong_types(self.client, streams)
                    return await self._read_new(rest, count, block_seconds)
                # Redis 7.0 says UNBLOCKED when a stream goes while a read waits; the next read meets what became of it.
                if not str(exc).startswith(("NOGROUP", "UNBLOCKED")):
                    raise
                if str(exc).startswith("NOGROUP"):
                    await self.ensure(streams)
                return []
        self._read_before.add(asked)
        self.refused_keys.forget_types(streams)
        return cast("_New", reply)

    async def _read_unseen(self, stream: str, count: int, largest_bytes: int) -> list[Entry]:
        """Return what this consumer has read and not seen, in pieces that fit."""
        seen = self._seen.get(stream, "0-0")
        entries, _ = await self._claim(stream, 0, count, largest_bytes, seen=seen)
        if entries:
            self._seen[stream] = entries[-1].id
        else:
            self._unseen.discard(stream)
        return entries

    async def claim(
        self,
        stream: str,
        *,
        idle_seconds: float,
        count: int,
        largest_bytes: int = LARGEST_BYTES,
    ) -> list[Entry]:
        """Claim entries whose consumer has been silent for `idle_seconds`.

        Nothing until Redis has answered for as long: after an outage all consumers have been silent, those that live too.
        """
        now = time.monotonic()
        if now - self._away_at < idle_seconds:
            return []
        idle_ms = int(idle_seconds * 1000)
        free = self._clock.free(stream, idle_seconds, now)
        entries, ahead = await self._claim(stream, idle_ms, count, largest_bytes, free=free)
        if ahead:
            # An entry that was delivered at this very moment can be judged a moment later.
            await asyncio.sleep(_MOMENT_SECONDS)
            entries, still = await self._claim(stream, idle_ms, count, largest_bytes)
            ahead = [each for each in ahead if each in still]
        self._clock.note_ahead(stream, ahead, now)
        return entries

    async def _claim(
        self,
        stream: str,
        idle_ms: int,
        count: int,
        largest_bytes: int,
        *,
        seen: str = "",
        free: Sequence[str] = (),
    ) -> tuple[list[Entry], list[str]]:
        """Return the claimed entries, and ids that cannot be judged.

        These entries of others were delivered just now or in the future.
        """
        latest_ms = self._clock.latest_ms(stream, time.monotonic())
        argv = [
            self.group_name, self.consumer, idle_ms, count, _ROOM_BYTES, largest_bytes, ALONE, seen, latest_ms, *free,
        ]  # fmt: skip
        try:
            now_ms, reply, ahead = await self.run(_CLAIM, [stream], argv)
        except StreamError as exc:
            if of_another_type(exc):
                self.refused_keys.note(f"xclaim {stream} {exc.__cause__}".encode())
                return [], []
            if "NOGROUP" not in str(exc.__cause__):
                raise
            await self.ensure([stream])
            return [], []
        now = time.monotonic()
        if self._clock.leapt(stream, now_ms, now):
            # Everything looks silent: wait until the living have renewed what is theirs.
            self._away_at = now
        return _claimed(stream, reply), [each.decode() for each in ahead]

    @asynccontextmanager
    async def trial(self, entry: Entry) -> AsyncIterator[bool]:
        """Work on an entry that goes alone.

        If the process dies now, that counts for this entry and no other.

        Yields whether the entry is still this consumer's.
        """
        async with self._trial:
            ours = await self._count(entry, entry.deliveries)
            try:
                yield ours
            finally:
                # Without Redis one death too many stays counted, which alone buries nothing.
                with suppress(StreamError):
                    await self._count(entry, entry.deliveries - 1)

    async def _count(self, entry: Entry, deliveries: int) -> bool:
        argv = [self.group_name, self.consumer, entry.id, deliveries]
        return bool(await self.run(_COUNT_DELIVERY, [entry.stream], argv))

    async def require_room(self, stream: str) -> None:
        """Ask whether a hop of new data would do for this stream; adds nothing.

        Raises:
            StreamError: Redis is full (maxmemory), away, or a cluster that is moving this stream.
        """
        await self.run(_HAS_ROOM, [stream, Keys(stream).never], [])

    async def renew(self, stream: str, entry_ids: Sequence[str]) -> int:
        """Renew the leases of entries; returns how many are still ours."""
        return await self._set_idle(stream, entry_ids, 0)

    async def give_up(self, stream: str, entry_ids: Sequence[str]) -> None:
        """Let others claim these entries at once."""
        await self._set_idle(stream, entry_ids, _GIVEN_UP_MS)

    async def put_back(self, stream: str, entry_ids: Sequence[str]) -> None:
        """Let entries be claimed after a lease, without counting this delivery.

        So they never become poison.
        """
        await self._set_idle(stream, entry_ids, 1)

    async def _set_idle(self, stream: str, entry_ids: Sequence[str], idle_ms: int) -> int:
        argv = [self.group_name, self.consumer, idle_ms, ALONE, *entry_ids]
        return int(await self.run(_LEASE, [stream], argv))

    async def hop(self, moves: Sequence[Move]) -> list[HopResult]:
        """Move entries of one event stream, each all or nothing; repeatable.

        If Redis refuses one, such as for a lane whose key holds another type, it is REFUSED and does not delay the others. Nothing of it has
        happened: keep it in flight and try it again later, or `put_back` it. Log and /readyz name the key (`refused_keys`).

        Raises:
            StreamError: Redis is away, full or read-only, or this user lacks a right: nothing has happened. After a lost connection
                all or nothing has happened. A move that has happened is LOST the next time.
        """
        if not moves:
            return []
        keys_, argv = pack(self.group_name, moves)
        return self.refused_keys.results(moves, await self.run(_HOP, keys_, argv))

    async def appear(self, stream: str) -> None:
        """Show this consumer to its group, made if missing; reads nothing."""
        async with self.errors():
            try:
                await self._name_consumer(stream)
            except ResponseError as exc:
                if not str(exc).startswith("NOGROUP"):
                    raise
                await self.ensure([stream])
                await self._name_consumer(stream)

    async def _name_consumer(self, stream: str) -> None:
        # Nothing is pending behind the latest id, and asking for it makes the consumer known.
        await self.client.xreadgroup(self.group_name, self.consumer, {stream: _LATEST_ID})

    async def leave(self, stream: str) -> None:
        """Remove this consumer, unless something of it is pending."""
        await self.run(
            _REMOVE_CONSUMERS, [stream], [self.group_name, self.consumer, _GIVEN_UP_MS]
        )

    async def forget_consumers(self, stream: str, *, idle_seconds: float) -> int:
        """Remove consumers silent for `idle_seconds` that have nothing pending."""
        argv = [self.group_name, "", int(idle_seconds * 1000)]
        return int(await self.run(_REMOVE_CONSUMERS, [stream], argv))

    @override
    async def run(self, script: Script, keys_: Sequence[str], argv: Sequence[object]) -> Any:
        with self._watched():
            return await super().run(script, keys_, argv)

    @contextmanager
    def _watched(self, patience_seconds: float = 0) -> Iterator[None]:
        """Note when Redis does not answer; the driver repeats for a while first."""
        began = time.monotonic()
        try:
            yield
        except (RedisError, RedisClusterException, OSError, StreamError) as exc:
            cause = exc.__cause__ if isinstance(exc, StreamError) else exc
            if cause is not None and takes_no_writes(cause):
                self._away_at = time.monotonic()
            raise
        if time.monotonic() - began > patience_seconds + self._slow_seconds:
            self._away_at = time.monotonic()


def _claimed(
    stream: str, reply: Sequence[tuple[bytes, int, Sequence[bytes] | None, int]]
) -> list[Entry]:
    return [
        Entry(
            stream,
            entry_id.decode(),
            None if fields is None else fields_of(fields),
            int(deliveries),
            int(withheld),
        )
        for entry_id, deliveries, fields, withheld in reply
    ]


class RedisClock:
    """The last known time of Redis, and entries delivered in its future."""

    def __init__(self, *, most_ahead_seconds: float) -> None:
        self._most_ahead_ms = int(most_ahead_seconds * 1000)
        self._known: dict[str, tuple[int, float]] = {}
        """Per stream, for those of a cluster are on servers with clocks of their own."""
        self._ahead: dict[str, dict[str, float]] = {}

    def latest_ms(self, stream: str, now: float) -> int:
        """Return the latest possible time unless the clock leaps; 0 = unknown."""
        if stream not in self._known:
            return 0
        known_ms, at = self._known[stream]
        return known_ms + int((now - at) * 1000) + self._most_ahead_ms

    def leapt(self, stream: str, redis_ms: int, now: float) -> bool:
        """Note Redis' time; return whether it has leapt ahead."""
        latest = self.latest_ms(stream, now)
        self._known[stream] = redis_ms, now
        return 0 < latest < redis_ms

    def note_ahead(self, stream: str, entry_ids: Sequence[str], now: float) -> None:
        """Note the only entries of a stream that seem delivered in the future."""
        before = self._ahead.get(stream, {})
        self._ahead[stream] = {each: before.get(each, now) for each in entry_ids}

    def free(self, stream: str, seconds: float, now: float) -> list[str]:
        """Return entries delivered in the future and not renewed for this long.

        Their consumers are gone.
        """
        ahead = self._ahead.get(stream, {})
        return [each for each, since in ahead.items() if now - since >= seconds]
