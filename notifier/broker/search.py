"""Look at what stands in streams without being one of their consumers; every look is bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, cast

from redis.exceptions import ResponseError

from notifier.broker import keys
from notifier.broker.channel_state import Failing, failing_channels
from notifier.broker.client import Client, redis_errors
from notifier.broker.keys import Keys
from notifier.broker.pages import Page, Span, read_page
from notifier.config import RedisSettings

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """An entry that was looked for."""

    id: str
    fields: Fields
    position: int | None
    """1 = the oldest; None when the stream is too long to tell."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a look at a stream has found."""

    spotted: tuple[SearchHit, ...]
    length: int
    """Entries that the stream held."""
    looked_at: int
    more: bool
    """Whether there may be more of the wanted entries among those that were looked at."""


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """Who has an entry in hand."""

    consumer: str
    idle_seconds: float
    """Since it was read, taken over, or its lease was renewed."""
    deliveries: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a look begins; `counted` when its first entry is the stream's oldest or newest."""

    start: str
    counted: bool = False
    newest_first: bool = False


class StreamSearch:
    """Reads only; every method raises StreamError when Redis is away or refuses."""

    def __init__(self, client: Client, settings: RedisSettings) -> None:
        self._client = client
        self._group = settings.group
        self._url = settings.url

    async def entry(self, stream: str, entry_id: str) -> Fields | None:
        """Return one entry, None when the stream has no such entry (any more)."""
        async with self._errors():
            page = await read_page(self._client, stream, Span(entry_id, entry_id), count=1)
        return page[0][1] if page else None

    async def accepted_entry(self, stream: str, event_id: str) -> str | None:
        """Return the entry by which an event id was accepted, None when none was within the event TTL."""
        async with self._errors():
            entry_id: Any = await self._client.get(Keys(stream).seen(event_id))
        return entry_id.decode() if entry_id else None

    async def read_up_to(self, stream: str) -> str | None:
        """Return the last entry that the group has read, None when there is no such group or stream."""
        async with self._errors():
            try:
                groups: Any = await self._client.xinfo_groups(stream)
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return None
        for group in groups:
            if _text(group["name"]) == self._group:
                return _text(group["last-delivered-id"])
        return None

    async def in_hand(self, stream: str, entry_id: str) -> PendingEntry | None:
        """Return who has an entry in hand, None when nobody has."""
        async with self._errors():
            try:
                reply: Any = await self._client.xpending_range(
                    stream, self._group, min=entry_id, max=entry_id, count=1
                )
            except ResponseError as exc:
                if not str(exc).startswith("NOGROUP"):
                    raise
                return None
        if not reply:
            return None
        [pending] = reply
        return PendingEntry(
            _text(pending["consumer"]),
            pending["time_since_delivered"] / 1000,
            int(pending["times_delivered"]),
        )

    async def failing(self, stream: str) -> dict[str, Failing]:
        """Return which channels fail, as the processes that deliver this stream say."""
        async with self._errors():
            written: Any = await cast("Any", self._client.hgetall(Keys(stream).failing))
        return failing_channels(written)

    async def pause_seconds(self, channel: str) -> float:
        """Return for how long a channel is to be left alone because its webhook asked for it."""
        async with self._errors():
            left: Any = await self._client.pttl(keys.pause(channel, self._group))
        return max(0, int(left)) / 1000

    async def search(
        self,
        stream: str,
        wanted: Callable[[Fields], bool],
        *,
        since_ms: int | None,
        at_most: int,
        page: int,
        limit: int,
    ) -> SearchResult:
        """Look for entries in a short stream from end to end, in a long one at both ends and from `since_ms` on.

        Args:
            stream: Where to look.
            wanted: Tells by an entry's fields whether it is looked for.
            since_ms: Milliseconds since 1970 before which nothing wanted can have been added; None = unknown.
            at_most: Entries to look at from each of these places.
            page: Entries to read at once.
            limit: Wanted entries to return at most.
        """
        async with self._errors():
            length = int(await self._client.xlen(stream))
        places = [_Place("-", counted=True)]
        if length > at_most:
            places.insert(0, _Place("+", counted=True, newest_first=True))
            if since_ms is not None:
                places.append(_Place(f"{since_ms}-0"))
        found: dict[str, SearchHit] = {}
        looked = 0
        for place in places:
            async for number, entry_id, fields in self._entries(stream, place, at_most, page):
                looked += 1
                if entry_id not in found and wanted(fields):
                    position = length - number + 1 if place.newest_first else number
                    found[entry_id] = SearchHit(
                        entry_id, fields, position if place.counted else None
                    )
                    if len(found) >= limit:
                        break
        spotted = sorted(found.values(), key=lambda entry: order(entry.id))
        return SearchResult(
            tuple(spotted), length, min(looked, length), more=len(found) >= limit
        )

    async def _entries(
        self, stream: str, place: _Place, at_most: int, page: int
    ) -> AsyncIterator[tuple[int, str, Fields]]:
        """Yield entries with their number, counted from where the place begins."""
        start, number = place.start, 0
        while number < at_most:
            count = min(page, at_most - number)
            entries = await self._page(
                stream, start, newest_first=place.newest_first, count=count
            )
            for entry_id, fields in entries:
                number += 1
                yield number, entry_id, fields
            if len(entries) < count:
                return
            start = f"({entries[-1][0]}"

    async def _page(self, stream: str, start: str, *, newest_first: bool, count: int) -> Page:
        span = Span(start, "-" if newest_first else "+", newest_first)
        async with self._errors():
            return await read_page(self._client, stream, span, count=count)

    def _errors(self) -> AbstractAsyncContextManager[None]:
        return redis_errors(self._client, self._url)


def order(entry_id: str) -> tuple[int, int]:
    """Return a key by which entry ids sort as Redis does."""
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
