"""Search streams for entries, with bounded work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from notifier.broker.entries import Fields, id_number
from notifier.broker.keys import Keys
from notifier.broker.streams import Streams


@dataclass(frozen=True, slots=True)
class SearchHit:
    """An entry that was looked for."""

    id: str
    fields: Fields
    position: int | None
    """1 = the oldest; None when the stream is too long to tell."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The findings of a search of a stream."""

    hits: tuple[SearchHit, ...]
    length: int
    """Entries that the stream held."""
    looked_at: int
    more: bool
    """Whether there may be more of the wanted entries among those that were looked at."""


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """The consumer that has an entry in flight."""

    consumer: str
    idle_seconds: float
    """Since it was read, claimed, or its lease was renewed."""
    deliveries: int


@dataclass(frozen=True, slots=True)
class _Place:
    """The start of a search; `counted` if it is an end of the stream."""

    start: str
    counted: bool = False
    newest_first: bool = False


async def accepted_entry(streams: Streams, stream: str, event_id: str) -> str | None:
    """Return the entry that first had a producer's event id.

    None if there was none within the event TTL.
    """
    async with streams.errors():
        entry_id: Any = await streams.client.get(Keys(stream).seen(event_id))
    return entry_id.decode() if entry_id else None


async def read_up_to(streams: Streams, stream: str) -> str | None:
    """Return the last entry that the group has read, None without a group."""
    for group in await streams.groups(stream):
        if group["name"].decode() == streams.group_name:
            return str(group["last-delivered-id"].decode())
    return None


async def in_flight(streams: Streams, stream: str, entry_id: str) -> PendingEntry | None:
    """Return which consumer has an entry in flight, None when none has."""
    async with streams.errors():
        try:
            reply: Any = await streams.client.xpending_range(
                stream, streams.group_name, min=entry_id, max=entry_id, count=1
            )
        except ResponseError as exc:
            if not str(exc).startswith("NOGROUP"):
                raise
            return None
    if not reply:
        return None
    [pending] = reply
    return PendingEntry(
        pending["consumer"].decode(),
        pending["time_since_delivered"] / 1000,
        int(pending["times_delivered"]),
    )


async def search_stream(
    streams: Streams,
    stream: str,
    wanted: Callable[[Fields], bool],
    *,
    since_ms: int | None,
    at_most: int,
    page: int,
    limit: int,
) -> SearchResult:
    """Search a short stream whole, a long one at both ends and `since_ms`.

    Args:
        streams: The connection.
        stream: Where to look.
        wanted: Tells by an entry's fields whether it is looked for.
        since_ms: Milliseconds since 1970 before which nothing wanted can have been added; None = unknown.
        at_most: Entries to look at from each of these places.
        page: Entries to read at once.
        limit: Wanted entries to return at most.
    """
    length = await streams.length(stream)
    places = [_Place("-", counted=True)]
    if length > at_most:
        places.insert(0, _Place("+", counted=True, newest_first=True))
        if since_ms is not None:
            places.append(_Place(f"{since_ms}-0"))
    found: dict[str, SearchHit] = {}
    looked = 0
    for place in places:
        async for number, entry_id, fields in _entries(streams, stream, place, at_most, page):
            looked += 1
            if entry_id not in found and wanted(fields):
                position = length - number + 1 if place.newest_first else number
                found[entry_id] = SearchHit(
                    entry_id, fields, position if place.counted else None
                )
                if len(found) >= limit:
                    break
    hits = sorted(found.values(), key=lambda entry: id_number(entry.id))
    return SearchResult(tuple(hits), length, min(looked, length), more=len(found) >= limit)


async def _entries(
    streams: Streams, stream: str, place: _Place, at_most: int, page: int
) -> AsyncIterator[tuple[int, str, Fields]]:
    """Yield entries with their number, counted from where the place begins."""
    start, number = place.start, 0
    while number < at_most:
        count = min(page, at_most - number)
        if place.newest_first:
            entries = await streams.newest(stream, before=start, count=count)
        else:
            entries = await streams.between(stream, start, "+", count=count)
        for entry_id, fields in entries:
            number += 1
            yield number, entry_id, fields
        if len(entries) < count:
            return
        start = f"({entries[-1][0]}"
