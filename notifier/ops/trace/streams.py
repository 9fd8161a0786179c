"""Search the streams of Redis for an id, with bounded work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from notifier.broker.entries import Fields, id_number
from notifier.broker.keys import Keys
from notifier.broker.rate_limit import RateLimits
from notifier.broker.search import (
    SearchHit,
    SearchResult,
    accepted_entry,
    in_flight,
    read_up_to,
    search_stream,
)
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from notifier.events.times import entry_time
from notifier.ops.trace.entries import Query, dead_letter_in, notification_in, outcome_in
from notifier.ops.trace.models import Intake, Published, Searched, Waiting
from notifier.ops.trace.timeline import StreamHits, identity_of

SEARCHED_ENTRIES = 2_000
"""Entries searched from each end of a longer stream."""

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_PAGE = 200


@dataclass
class Search:
    """One search: the question, and the hits so far."""

    config: Config
    text: str
    limit: int
    cards: bool
    published: dict[tuple[str, str], Published] = field(default_factory=dict)
    hits: StreamHits = field(default_factory=StreamHits)
    searched: list[Searched] = field(default_factory=list)
    more: bool = False
    events: set[str] = field(default_factory=set)
    """Events that found dead letters became."""

    @property
    def ids(self) -> set[str]:
        """Return the wanted id, and the event ids that it means."""
        published = {each.event_id for each in self.published.values() if each.event_id}
        # An entry's id means its event; a correlation or claim id means itself alone.
        return {
            self.text,
            *self.events,
            *(published if _ENTRY_ID.fullmatch(self.text) else ()),
        }


async def look_up(search: Search, streams: Streams) -> None:
    """Look an event or entry id up directly; raises StreamError."""
    for stream in search.config.streams:
        entry_ids = {await accepted_entry(streams, stream, search.text)}
        if _ENTRY_ID.fullmatch(search.text):
            entry_ids.add(search.text)
        for entry_id in entry_ids - {None}:
            fields = await streams.entry(stream, str(entry_id))
            if fields is not None:
                await _note_published(search, streams, stream, str(entry_id), fields)


async def search_streams(
    search: Search, streams: Streams, entries: Iterable[tuple[str, str]]
) -> None:
    """Search all streams.

    Args:
        search: The question, and the hits so far.
        streams: The connection.
        entries: Stream and entry id of events that are known to match.

    Raises:
        StreamError: Redis is away.
    """
    known = [*entries, *search.published]
    for stream in search.config.streams:
        times = [id_number(entry_id)[0] for where, entry_id in known if where == stream]
        since = min(times, default=None)
        searcher = _StreamSearcher(search, streams, stream, since, Query.of(search.ids))
        await searcher.events()
        await searcher.lanes()
        await searcher.outcomes()
        await searcher.dead_letters()


@dataclass(frozen=True, slots=True)
class _StreamSearcher:
    search: Search
    streams: Streams
    stream: str
    since_ms: int | None
    query: Query

    async def events(self) -> None:
        most = self.search.config.intake.max_event_bytes
        found = await self._search(
            self.stream, lambda fields: self.query.is_event(self.stream, fields, most)
        )
        for hit in found.hits:
            await _note_published(self.search, self.streams, self.stream, hit.id, hit.fields)
        self._note(f"event stream {self.stream}", [found])

    async def lanes(self) -> None:
        results: list[SearchResult] = []
        keys = Keys(self.stream)
        for channel in self.search.config.channels:
            for urgent in (True, False):
                lane = keys.lane(channel, urgent=urgent)
                found = await self._search(lane, self.query.is_notification)
                results.append(found)
                for hit in found.hits:
                    notification = notification_in(hit.fields)
                    if notification is not None:
                        waiting = await self._waiting(lane, hit, found.length, channel)
                        self.search.hits.waiting.append((identity_of(notification), waiting))
        self._note(f"{len(results)} lanes of {self.stream}", results)

    async def _waiting(self, lane: str, hit: SearchHit, length: int, channel: str) -> Waiting:
        pending = await in_flight(self.streams, lane, hit.id)
        return Waiting(
            lane,
            entry_time(hit.id),
            hit.position,
            length,
            pending.consumer if pending else None,
            pending.idle_seconds if pending else None,
            pending.deliveries if pending else 0,
            await self._channel_state(channel),
        )

    async def _channel_state(self, channel: str) -> str:
        limits = RateLimits(self.streams)
        failing = (await limits.failing(self.stream)).get(channel)
        [pause] = await limits.pauses([channel])
        states = [failing.described()] if failing else []
        if pause:
            states.append(f"asked for a pause, {pause:.0f} s left")
        return " ".join([channel, ", ".join(states)]) if states else ""

    async def outcomes(self) -> None:
        key = Keys(self.stream).outcomes
        found = await self._search(key, self.query.is_outcome)
        outcomes = (outcome_in(hit.fields) for hit in found.hits)
        self.search.hits.outcomes += [each for each in outcomes if each is not None]
        self._note(f"outcomes that wait for Postgres, {key}", [found])

    async def dead_letters(self) -> None:
        key = Keys(self.stream).dead
        found = await self._search(key, self.query.is_dead_letter)
        fields_by_id = {hit.id: hit.fields for hit in found.hits}
        text = self.search.text
        if _ENTRY_ID.fullmatch(text) and text not in fields_by_id:
            entry = await self.streams.entry(key, text)
            if entry is not None:
                fields_by_id[text] = entry
        for letter_id, fields in fields_by_id.items():
            letter, notification, outcome = dead_letter_in(self.stream, letter_id, fields)
            owner = notification or outcome
            if outcome is not None:
                self.search.hits.outcomes.append(outcome)
            identity = identity_of(owner) if owner is not None else None
            self.search.hits.dead_letters.append((letter, identity))
        self._note(f"dead letters, {key}", [found])

    async def _search(self, stream: str, wanted: Callable[[Fields], bool]) -> SearchResult:
        found = await search_stream(
            self.streams,
            stream,
            wanted,
            since_ms=self.since_ms,
            at_most=SEARCHED_ENTRIES,
            page=_PAGE,
            limit=self.search.limit + 1,
        )
        self.search.more = self.search.more or found.more
        return found

    def _note(self, place: str, results: list[SearchResult]) -> None:
        length = sum(each.length for each in results)
        looked_at = sum(each.looked_at for each in results)
        whole = all(each.looked_at >= each.length for each in results)
        how = (
            f"all {length} entries"
            if whole
            else f"{looked_at} of {length} entries: the oldest and the newest"
        )
        if not whole and self.since_ms is not None:
            how += ", and those after the event"
        self.search.searched.append(Searched(place, how, whole))


async def _note_published(
    search: Search, streams: Streams, stream: str, entry_id: str, fields: Fields
) -> None:
    if (stream, entry_id) in search.published:
        return
    event, fault = None, None
    try:
        event = parse_entry(
            stream, entry_id, fields, max_bytes=search.config.intake.max_event_bytes
        )
    except EventError as exc:
        fault = str(exc)
    accepted = await accepted_entry(streams, stream, event.id) if event else None
    last_read = await read_up_to(streams, stream)
    pending = await in_flight(streams, stream, entry_id)
    if last_read is None or id_number(entry_id) > id_number(last_read):
        intake = Intake.UNREAD
    elif pending is not None:
        intake = Intake.IN_FLIGHT
    elif accepted not in (None, entry_id):
        intake = Intake.DUPLICATE
    else:
        intake = Intake.ACCEPTED
    search.published[stream, entry_id] = Published(
        stream,
        entry_id,
        entry_time(entry_id),
        intake,
        pending.consumer if pending else None,
        event.id if event else None,
        event.correlation_id if event else None,
        event.type if event else None,
        fault,
        accepted,
    )
