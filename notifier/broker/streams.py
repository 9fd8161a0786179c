"""Add to streams and read them, without being a consumer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Any, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from notifier.broker import keys
from notifier.broker.client import Client, RedisOptions, close, connect, redis_errors
from notifier.broker.entries import (
    LARGEST_BYTES,
    LAST_ID,
    Entry,
    Floor,
    Page,
    fields_of,
    id_number,
)
from notifier.broker.errors import of_another_type, refusal
from notifier.broker.hop import Move, MoveResult, pack_waiting
from notifier.broker.keys import Keys
from notifier.broker.refused_keys import RefusedKeys
from notifier.broker.scripts import Script
from notifier.errors import StreamError

_PAGE = Script.read(__package__, "entry_size", "page")
_MOVE = Script.read(__package__, "replies", "move")
_PAGE_ENTRIES = 200
_PAGE_BYTES = 8 * 2**20


class Streams:
    """The streams of one Redis; safe to use from many tasks.

    Every method raises StreamError when Redis is away, or refuses.
    """

    def __init__(self, client: Client, options: RedisOptions) -> None:
        self.client = client
        self.group_name = options.group
        self.refused_keys = RefusedKeys(options.url)
        self._url = options.url
        self._lease_seconds = options.lease_seconds

    def errors(self) -> AbstractAsyncContextManager[None]:
        """Raise StreamError for what the driver raises within."""
        return redis_errors(self.client, self._url)

    async def run(self, script: Script, keys_: Sequence[str], argv: Sequence[object]) -> Any:
        """Run a script; StreamError names the first key if its type is wrong."""
        try:
            async with self.errors():
                return await script.run(self.client, keys_, argv)
        except StreamError as exc:
            if not of_another_type(exc):
                raise
            # Scripts with more keys name the one at fault in their replies.
            reply = f"{script.name} {keys_[0]} WRONGTYPE".encode()
            raise refusal(self._url, reply) from exc.__cause__

    async def ping(self) -> None:
        """Return when Redis answers, even if it refuses this user the command."""
        async with self.errors():
            with suppress(NoPermissionError):
                await self.client.ping()

    async def length(self, stream: str) -> int:
        """Return how many entries a stream holds; of a lane, the undelivered ones."""
        async with self.errors():
            return int(await self.client.xlen(stream))

    async def entry(self, stream: str, entry_id: str) -> dict[bytes, bytes] | None:
        """Return an entry's fields, None if the stream does not hold it."""
        page = await self._page(stream, "XRANGE", entry_id, entry_id, 1)
        return page[0][1] if page else None

    async def newest(self, stream: str, *, before: str = "+", count: int) -> Page:
        """Return entries from the id `before` down (as XREVRANGE takes it)."""
        return await self._page(stream, "XREVRANGE", before, "-", count)

    async def between(self, stream: str, start: str, end: str, *, count: int) -> Page:
        """Return entries, oldest first (XRANGE; "-", "+" and "(id" as there)."""
        return await self._page(stream, "XRANGE", start, end, count)

    async def entries_between(
        self, stream: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[Entry]:
        """Yield the entries added from `since` to before `until`, oldest first."""
        start = "-" if since is None else f"{int(since.timestamp() * 1000)}-0"
        end = "+" if until is None else f"({int(until.timestamp() * 1000)}-0"
        while True:
            page = await self.between(stream, start, end, count=_PAGE_ENTRIES)
            for entry_id, fields in page:
                yield Entry(stream, entry_id, fields)
            if len(page) < _PAGE_ENTRIES:
                return
            start = f"({page[-1][0]}"

    async def _page(self, stream: str, command: str, start: str, stop: str, count: int) -> Page:
        """Return `count` entries; of one that is too large, its size only."""
        found: Page = []
        more = True
        while more:
            argv = [command, start, stop, count - len(found), _PAGE_BYTES, LARGEST_BYTES]
            more, entries = await self.run(_PAGE, [stream], argv)
            found += [(entry_id.decode(), fields_of(flat)) for entry_id, flat in entries]
            if found:
                start = f"({found[-1][0]}"
        return found

    async def floor(self, stream: str) -> Floor:
        """Return what the group has acknowledged of an event stream."""
        async with self.errors():
            text: Any = await self.client.get(keys.floor(stream, self.group_name))
        return Floor.parse(text)

    async def groups(self, stream: str) -> list[dict[str, Any]]:
        """Return the groups of a stream (XINFO GROUPS); none without a stream."""
        async with self.errors():
            try:
                return await self.client.xinfo_groups(stream)
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return []

    async def is_alone_in(self, stream: str) -> bool:
        """Tell whether this group reads a stream and no other does."""
        names = [group["name"].decode() for group in await self.groups(stream)]
        return names == [self.group_name]

    async def add(self, stream: str, fields: Mapping[str, str]) -> str:
        """Add an entry as a producer does; returns its id.

        A cluster's client repeats it if no answer comes.
        """
        async with self.errors():
            entry_id: Any = await self.client.xadd(stream, cast("Any", dict(fields)))
        return str(entry_id.decode())

    async def add_once(self, stream: str, fields: Mapping[str, str]) -> str:
        """Add an entry that must not be there twice; returns its id.

        Raises:
            StreamError: Redis is away; the entry may be there all the same.
        """
        words = [word for pair in fields.items() for word in pair]
        target: dict[str, Any] = {}
        async with self.errors():
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
        async with self.errors():
            await pipeline.execute()

    async def move(self, source: str, moves: Sequence[Move]) -> list[MoveResult]:
        """Move entries out of `source`, each all or nothing, unless in flight.

        Done twice, it does nothing the second time.

        Raises:
            StreamError: Redis is away, or refuses one of them, which is where it was; asking again is safe.
        """
        in_flight_ms = int(self._lease_seconds * 1000)
        keys_, argv = pack_waiting(self.group_name, source, moves, in_flight_ms=in_flight_ms)
        results = await self.run(_MOVE, keys_, argv)
        for result in results:
            if isinstance(result, bytes):
                raise refusal(self._url, result)
        return [MoveResult(result) for result in results]

    async def remember_channels(self, stream: str, channels: Collection[str]) -> None:
        """Note that these channels have lanes."""
        mapping: Any = dict.fromkeys(channels, "1")
        async with self.errors():
            await cast("Any", self.client.hset(Keys(stream).channels, mapping=mapping))

    async def remembered_channels(self, stream: str) -> list[str]:
        """Return the channels that ever had lanes."""
        async with self.errors():
            known: Any = await cast("Any", self.client.hgetall(Keys(stream).channels))
        return sorted(each.decode() for each in known)

    async def trim(self, stream: str, *, older_than_ms: int) -> int:
        """Remove entries older than this that every group has acknowledged.

        The time is in milliseconds since 1970.
        """
        oldest_wanted = (older_than_ms, 0)
        for group in await self.groups(stream):
            last = id_number(group["last-delivered-id"])
            # The last id of all has none after it.
            oldest_wanted = min(oldest_wanted, (last[0], min(last[1] + 1, LAST_ID[1])))
            if group["pending"]:
                async with self.errors():
                    summary = await self.client.xpending(stream, group["name"])
                if summary["min"]:
                    oldest_wanted = min(oldest_wanted, id_number(summary["min"]))
        minid = f"{oldest_wanted[0]}-{oldest_wanted[1]}"
        async with self.errors():
            return int(await self.client.xtrim(stream, minid=minid, approximate=False))


@asynccontextmanager
async def open_streams(options: RedisOptions) -> AsyncIterator[Streams]:
    """Connect while the body runs; raises ConfigError without a TLS file."""
    client = connect(options)
    try:
        yield Streams(client, options)
    finally:
        await close(client)
