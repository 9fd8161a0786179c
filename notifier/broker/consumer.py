"""What one consumer of the group reads and claims, and what it tries alone."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from typing import Any, cast

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from notifier.broker import keys
from notifier.broker.client import Client, redis_errors
from notifier.broker.entries import ALONE, LARGEST_BYTES, Entry, of_reply
from notifier.broker.errors import obeys_nobody
from notifier.broker.pool import a_read_that_waits
from notifier.broker.redis_clock import RedisClock
from notifier.broker.refusals import Refusals, of_another_type, refusal
from notifier.broker.replies import ReplyTooLargeError
from notifier.broker.scripts import Script
from notifier.config import RedisSettings
from notifier.errors import StreamError

_New = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]
"""Reply of XREADGROUP."""
GIVEN_UP_MS = 10**9
_SCRIPTS = (
    "hop",
    "lease",
    "forget",
    "reserve",
    "revive",
    "ensure",
    "letters",
    "spent",
    "room",
    "trial",
)
_SLOW_SECONDS = 2.0
_MOMENT_SECONDS = 0.01
_ROOM_BYTES = 8 * 2**20
"""For entries that are claimed together."""


class Consumer:
    """A consumer's streams; safe to use from many tasks."""

    def __init__(self, client: Client, settings: RedisSettings, consumer: str) -> None:
        self.client = client
        self.refusals = Refusals(settings.url)
        self.consumer = consumer
        self._group = settings.group
        self._url = settings.url
        self._scripts = {name: Script.read(__package__, name) for name in _SCRIPTS}
        self._scripts["claim"] = Script.read(__package__, "sent", "claim")
        self._answered: set[tuple[str, ...]] = set()
        """Streams that were read together before."""
        self._seen: dict[str, str] = {}
        """The last entry of each stream that a read has returned."""
        self._unseen: set[str] = set()
        """Streams of which entries may have been read whose reply did not arrive."""
        self._trial = asyncio.Lock()
        self._away_at = -math.inf
        """When Redis last failed to answer, or took very long; monotonic seconds."""
        self._slow_seconds = max(_SLOW_SECONDS, settings.lease_seconds / 3)
        self._clock = RedisClock(most_ahead_seconds=self._slow_seconds)

    async def ensure(self, streams: Sequence[str]) -> None:
        """Create the group where it is missing, after what it has acknowledged, or else from the first entry on."""
        for stream in streams:
            reply = await self._run(
                "ensure",
                [stream, keys.floor(stream, self._group)],
                [self._group, self.consumer, GIVEN_UP_MS],
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
        """Read new entries, up to `count` of each stream, in the order of `streams`; wait for the first.

        The first read of these streams does not wait, so that a stage is known to work at once.
        Entries that were read before and whose reply was lost, or too large for this process, come first.

        A group that was lost (FLUSHALL, a fresh replica) is made again and nothing is returned this time.

        Raises:
            StreamError: Redis is away.
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
        patience_ms = int(block_seconds * 1000) if asked in self._answered else 0
        async with self._errors():
            try:
                with self._watched(patience_ms / 1000), a_read_that_waits():
                    reply = await self.client.xreadgroup(
                        self._group,
                        self.consumer,
                        dict.fromkeys(streams, ">"),
                        count=count,
                        block=max(1, patience_ms),
                    )
            except ResponseError as exc:
                if "WRONGTYPE" in str(exc):
                    rest = await self.refusals.without_wrong_types(self.client, streams)
                    return await self._read_new(rest, count, block_seconds)
                # Redis 7.0 says UNBLOCKED when a stream goes while a read waits; the next read meets what became of it.
                if not str(exc).startswith(("NOGROUP", "UNBLOCKED")):
                    raise
                if str(exc).startswith("NOGROUP"):
                    await self.ensure(streams)
                return []
        self._answered.add(asked)
        self.refusals.forget_types(streams)
        return cast("_New", reply)

    async def _read_unseen(self, stream: str, count: int, largest_bytes: int) -> list[Entry]:
        """Return what this consumer has read and not seen, in pieces that fit."""
        seen = self._seen.get(stream, "0-0")
        entries, _ = await self._taken(stream, 0, count, largest_bytes, seen=seen)
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
        """Take over entries whose consumer has been silent for `idle_seconds`.

        Nothing until Redis has answered for as long: after an outage all consumers have been silent, the living too.
        """
        now = time.monotonic()
        if now - self._away_at < idle_seconds:
            return []
        idle_ms = int(idle_seconds * 1000)
        free = self._clock.free(stream, idle_seconds, now)
        entries, ahead = await self._taken(stream, idle_ms, count, largest_bytes, free=free)
        if ahead:
            # What was delivered at this very moment no longer was a moment later.
            await asyncio.sleep(_MOMENT_SECONDS)
            entries, still = await self._taken(stream, idle_ms, count, largest_bytes)
            ahead = [each for each in ahead if each in still]
        self._clock.note_ahead(stream, ahead, now)
        return entries

    async def _taken(
        self,
        stream: str,
        idle_ms: int,
        count: int,
        largest_bytes: int,
        *,
        seen: str = "",
        free: Sequence[str] = (),
    ) -> tuple[list[Entry], list[str]]:
        """Return what claim.lua takes, and which entries of others it saw that were delivered just now or in the future."""
        latest_ms = self._clock.latest_ms(stream, time.monotonic())
        argv = [
            self._group, self.consumer, idle_ms, count, _ROOM_BYTES, largest_bytes, ALONE, seen, latest_ms, *free,
        ]  # fmt: skip
        try:
            now_ms, reply, ahead = await self._run("claim", [stream], argv)
        except StreamError as exc:
            if of_another_type(exc):
                self.refusals.note(f"xclaim {stream} {exc.__cause__}".encode())
                return [], []
            if "NOGROUP" not in str(exc.__cause__):
                raise
            await self.ensure([stream])
            return [], []
        now = time.monotonic()
        if self._clock.told(stream, now_ms, now):
            # Everything looks silent: wait until the living have renewed what is theirs.
            self._away_at = now
        return of_reply(stream, reply), [each.decode() for each in ahead]

    @asynccontextmanager
    async def trial(self, entry: Entry) -> AsyncIterator[bool]:
        """Work on an entry that goes alone: if the process dies now, that counts for this entry and no other.

        Yields whether the entry is still this consumer's.

        Raises:
            StreamError: Redis is away.
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
        argv = [self._group, self.consumer, entry.id, deliveries]
        return bool(await self._run("trial", [entry.stream], argv))

    def _errors(self) -> AbstractAsyncContextManager[None]:
        return redis_errors(self.client, self._url)

    async def _run(self, script: str, keys_: list[str], argv: Sequence[object]) -> Any:
        try:
            async with self._errors():
                with self._watched():
                    return await self._scripts[script].run(self.client, keys_, argv)
        except StreamError as exc:
            if not of_another_type(exc):
                raise
            # Those that may meet it have one key, or name it on their own.
            raise refusal(
                self._url, f"{script} {keys_[0]} WRONGTYPE".encode()
            ) from exc.__cause__

    @contextmanager
    def _watched(self, patience_seconds: float = 0) -> Iterator[None]:
        """Note when Redis does not answer; the driver tries again for a while before it says so."""
        began = time.monotonic()
        try:
            yield
        except (RedisError, RedisClusterException, OSError) as exc:
            if obeys_nobody(exc):
                self._away_at = time.monotonic()
            raise
        if time.monotonic() - began > patience_seconds + self._slow_seconds:
            self._away_at = time.monotonic()
