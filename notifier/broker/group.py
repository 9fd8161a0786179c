"""One consumer of the group: read, take over, lease and hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from notifier.broker import keys
from notifier.broker.channel_state import Failing
from notifier.broker.consumer import GIVEN_UP_MS, Consumer
from notifier.broker.entries import ALONE
from notifier.broker.hop import HopResult, Move, pack
from notifier.broker.keys import Keys
from notifier.broker.pages import Page, Span, read_page
from notifier.broker.refusals import of_another_type, refusal
from notifier.broker.stats_views import Floor, ScanResult, number_of
from notifier.broker.stream_ids import LAST
from notifier.errors import StreamError

_LATEST_ID = "18446744073709551615-0"  # the very last one stands for new entries


class ConsumerGroup(Consumer):
    """This process's consumer in the group; safe to use from many tasks."""

    async def length(self, stream: str) -> int:
        """Return how many entries a stream holds (XLEN); of a lane these are the ones not delivered yet.

        Raises:
            StreamError: Redis is away.
        """
        async with self._errors():
            return int(await self.client.xlen(stream))

    async def require_room(self, stream: str) -> None:
        """Ask whether a hop of new data would do for this stream; adds nothing.

        Raises:
            StreamError: Redis is full (maxmemory), away, or a cluster that is moving this stream.
        """
        await self._run("room", [stream, Keys(stream).never], [])

    async def renew(self, stream: str, entry_ids: Sequence[str]) -> int:
        """Keep entries in hand from being taken over; returns how many are still ours."""
        return int(
            await self._run(
                "lease", [stream], [self._group, self.consumer, 0, ALONE, *entry_ids]
            )
        )

    async def give_up(self, stream: str, entry_ids: Sequence[str]) -> None:
        """Let others take over these entries at once."""
        await self._run(
            "lease", [stream], [self._group, self.consumer, GIVEN_UP_MS, ALONE, *entry_ids]
        )

    async def hop(self, moves: Sequence[Move]) -> list[HopResult]:
        """Move entries of one event stream's keys, each all or nothing; safe to repeat.

        One that Redis refuses, such as for a lane whose key holds another type, is REFUSED and holds up no other: nothing of it has happened, so keep it
        in flight and try it again later, or `put_back` it. Log and /readyz name the key and what to do (`refusals`).

        Raises:
            StreamError: Redis is away, full or read-only, or this user lacks a right: nothing has happened. After a lost connection
                all or nothing has happened. What has happened is LOST the next time.
        """
        if not moves:
            return []
        keys_, argv = pack(self._group, moves)
        return self.refusals.results(moves, await self._run("hop", keys_, argv))

    async def put_back(self, stream: str, entry_ids: Sequence[str]) -> None:
        """Let entries be claimed when a lease has passed, as if they had not been delivered this time: they never become poison for that.

        Raises:
            StreamError: Redis is away.
        """
        await self._run("lease", [stream], [self._group, self.consumer, 1, ALONE, *entry_ids])

    async def appear(self, stream: str) -> None:
        """Let the group know that this consumer is there; reads nothing. A group that is not there yet is made.

        Raises:
            StreamError: Redis is away.
        """
        async with self._errors():
            try:
                await self._name_consumer(stream)
            except ResponseError as exc:
                if not str(exc).startswith("NOGROUP"):
                    raise
                await self.ensure([stream])
                await self._name_consumer(stream)

    async def _name_consumer(self, stream: str) -> None:
        # What is pending behind the latest id can be nothing, and asking for it makes the consumer known.
        await self.client.xreadgroup(self._group, self.consumer, {stream: _LATEST_ID})

    async def leave(self, stream: str) -> None:
        """Remove this consumer, unless something of it is pending."""
        await self._run("forget", [stream], [self._group, self.consumer, GIVEN_UP_MS])

    async def forget_consumers(self, stream: str, *, idle_seconds: float) -> int:
        """Remove consumers silent for `idle_seconds` that have nothing pending."""
        argv = [self._group, "", int(idle_seconds * 1000)]
        return int(await self._run("forget", [stream], argv))

    async def reserve(
        self,
        channel: str,
        count: int,
        *,
        seconds_each: float,
        burst: int,
        distance_seconds: float,
    ) -> list[float]:
        """Reserve `count` requests to a channel; returns the seconds to wait for each.

        Raises:
            StreamError: Redis is away, or another program keeps something else under this key, which log and /readyz name too.
        """
        key = keys.rate(channel, self._group)
        argv = [count, seconds_each * 1000, burst, distance_seconds * 1000]
        try:
            waits = await self._run("reserve", [key], argv)
        except StreamError as exc:
            if of_another_type(exc):
                self.refusals.note(f"reserve {key} WRONGTYPE".encode())
            raise
        self.refusals.forget([key])
        return [wait / 1000 for wait in waits]

    async def spent(self, channel: str) -> float:
        """Return how many seconds it takes until all of a channel's burst is free again; spends nothing.

        Raises:
            StreamError: Redis is away.
        """
        return int(await self._run("spent", [keys.rate(channel, self._group)], [])) / 1000

    async def glance(
        self,
        dead: str,
        start: str,
        stop: str,
        *,
        newest_first: bool,
        wanted: Mapping[str, str],
        limit: int,
        looks: int,
    ) -> ScanResult:
        """Look at up to `looks` dead letters between two ids (as XREVRANGE and XRANGE take them) for up to `limit` wanted ones.

        Raises:
            StreamError: Redis is away.
        """
        command = "XREVRANGE" if newest_first else "XRANGE"
        pairs = [text for pair in wanted.items() for text in pair]
        complete, last, found = await self._run(
            "letters", [dead], [command, start, stop, limit, looks, *pairs]
        )
        return ScanResult(
            bool(complete),
            last.decode(),
            tuple((entry_id.decode(), _texts(fields)) for entry_id, fields in found),
        )

    async def pause(self, channel: str, seconds: float) -> None:
        """Ask every process to leave a channel alone for this long; a shorter pause never ends a longer one."""
        pause_ms = max(1, int(seconds * 1000))
        async with self._errors():
            if await self.client.pttl(keys.pause(channel, self._group)) < pause_ms:
                await self.client.set(keys.pause(channel, self._group), "1", px=pause_ms)

    async def note_failing(self, stream: str, channel: str, failing: Failing | None) -> None:
        """Let trace and doctor know that a channel fails, or that it recovered (None).

        Raises:
            StreamError: Redis is away.
        """
        text = "" if failing is None else failing.model_dump_json()
        async with self._errors():
            await cast("Any", self.client.hset(Keys(stream).failing, channel, text))

    async def pauses(self, channels: Sequence[str]) -> list[float]:
        """Return for each channel how many seconds it is to be left alone."""
        async with self._errors():
            pipeline = self.client.pipeline(transaction=False)
            for channel in channels:
                pipeline.pttl(keys.pause(channel, self._group))
            return [max(0, int(left)) / 1000 for left in await pipeline.execute()]

    async def revive(
        self,
        dead: str,
        letter_id: str,
        targets: Sequence[tuple[str, Mapping[str, str | bytes]]],
    ) -> bool:
        """Take a dead letter away and add what it becomes, all or nothing; False when it is gone already.

        Raises:
            StreamError: Redis is away.
        """
        keys_ = list(dict.fromkeys([dead, *(target for target, _ in targets)]))
        argv: list[object] = [letter_id, len(targets)]
        for target, fields in targets:
            argv += (keys_.index(target) + 1, 2 * len(fields))
            for name, value in fields.items():
                argv += (name, value)
        reply = await self._run("revive", keys_, argv)
        if isinstance(reply, bytes):
            raise refusal(self._url, reply)
        return bool(reply)

    async def newest(self, stream: str, *, before: str, count: int) -> Page:
        """Return entries of any stream, newest first, from the id `before` down ("+" = the newest, "(id" = without it)."""
        return await self._page(stream, Span(before, "-", newest_first=True), count)

    async def between(self, stream: str, start: str, end: str, *, count: int) -> Page:
        """Return entries of any stream, oldest first (XRANGE; "-", "+" and "(id" as there).

        Raises:
            StreamError: Redis is away.
        """
        return await self._page(stream, Span(start, end), count)

    async def _page(self, stream: str, span: Span, count: int) -> Page:
        try:
            async with self._errors():
                return await read_page(self.client, stream, span, count=count)
        except StreamError as exc:
            if not of_another_type(exc):
                raise
            raise refusal(self._url, f"xrange {stream} WRONGTYPE".encode()) from exc.__cause__

    async def floor(self, stream: str) -> Floor:
        """Return what the group has acknowledged of an event stream.

        Raises:
            StreamError: Redis is away.
        """
        async with self._errors():
            text: Any = await self.client.get(keys.floor(stream, self._group))
        last, *pending = [number_of(word) for word in (text or b"0-0").split()]
        return Floor(last, frozenset(pending))

    async def is_alone_in(self, stream: str) -> bool:
        """Tell whether this group reads a stream and no other does.

        Raises:
            StreamError: Redis is away.
        """
        async with self._errors():
            try:
                groups: Any = await self.client.xinfo_groups(stream)
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return False
        return [group["name"].decode() for group in groups] == [self._group]

    async def add(self, stream: str, fields: Mapping[str, str]) -> str:
        """Add an entry as a producer does (XADD); returns its id. A cluster's client repeats it when no answer comes."""
        async with self._errors():
            entry_id: Any = await self.client.xadd(stream, cast("Any", dict(fields)))
        return str(entry_id.decode())

    async def add_once(self, stream: str, fields: Mapping[str, str]) -> str:
        """Add an entry that must not be there twice; returns its id.

        Raises:
            StreamError: Redis is away; the entry may be there all the same.
        """
        words = [word for pair in fields.items() for word in pair]
        target: dict[str, Any] = {}
        async with self._errors():
            if isinstance(self.client, RedisCluster):
                await self.client.initialize()
                # A command for a given node is not repeated.
                target["target_nodes"] = [self.client.get_node_from_key(stream)]
            command: Any = self.client.execute_command("XADD", stream, "*", *words, **target)
            entry_id = await command
        return str(entry_id.decode())

    async def add_all(self, stream: str, entries: Sequence[Mapping[str, str]]) -> None:
        """Add entries in one go.

        Raises:
            StreamError: Redis is away or refuses; some of them may be there.
        """
        pipeline = self.client.pipeline(transaction=False)
        for fields in entries:
            pipeline.xadd(stream, cast("Any", dict(fields)))
        async with self._errors():
            await pipeline.execute()

    async def trim(self, stream: str, *, older_than_ms: int) -> int:
        """Remove entries added before this time (ms since 1970) that every group has acknowledged."""
        async with self._errors():
            oldest_wanted = (older_than_ms, 0)
            for group in await self.client.xinfo_groups(stream):
                last = number_of(group["last-delivered-id"])
                # The last id of all has none after it.
                oldest_wanted = min(oldest_wanted, (last[0], min(last[1] + 1, LAST[1])))
                if group["pending"]:
                    summary = await self.client.xpending(stream, group["name"])
                    if summary["min"]:
                        oldest_wanted = min(oldest_wanted, number_of(summary["min"]))
            return int(
                await self.client.xtrim(
                    stream, minid=f"{oldest_wanted[0]}-{oldest_wanted[1]}", approximate=False
                )
            )


def _texts(fields: Sequence[bytes]) -> dict[str, str]:
    texts = [text.decode(errors="replace") for text in fields]
    return dict(zip(texts[::2], texts[1::2], strict=True))
