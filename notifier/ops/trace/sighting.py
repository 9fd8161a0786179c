"""Look for an id in the streams of Redis, page by page and no further than is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from notifier.broker.entries import Fields, id_number
from notifier.broker.keys import Keys
from notifier.broker.rate_limit import RateLimits
from notifier.broker.search import SearchHit, SearchResult, StreamSearch
from notifier.config import Config
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from notifier.events.times import entry_time
from notifier.ops.trace.assembly import StreamHits
from notifier.ops.trace.models import Intake, Looked, Published
from notifier.ops.trace.reading import (
    Query,
    ended_of,
    identity_of,
    letter_of,
    notification_in,
    outcome_in,
    waiting_of,
)

LOOKED_AT = 2_000
"""Entries looked at from each end of a stream that holds more."""

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_PAGE = 200


@dataclass
class Search:
    """One search: what is asked, and what was seen so far."""

    config: Config
    text: str
    limit: int
    cards: bool
    published: dict[tuple[str, str], Published] = field(default_factory=dict)
    sightings: StreamHits = field(default_factory=StreamHits)
    looked: list[Looked] = field(default_factory=list)
    more: bool = False
    revived: set[str] = field(default_factory=set)
    """Events that dead letters became which were found."""

    @property
    def ids(self) -> set[str]:
        """Return what was asked for, and the event ids that it stands for."""
        events = {each.event_id for each in self.published.values() if each.event_id}
        # An entry's id stands for its event; a correlation or claim id stands for itself alone.
        return {
            self.text,
            *self.revived,
            *(events if _ENTRY_ID.fullmatch(self.text) else ()),
        }


async def look_up(search: Search, peek: StreamSearch) -> None:
    """Look where an event or entry id leads at once; raises StreamError."""
    for stream in search.config.streams:
        entry_ids = {await peek.accepted_entry(stream, search.text)}
        if _ENTRY_ID.fullmatch(search.text):
            entry_ids.add(search.text)
        for entry_id in entry_ids - {None}:
            fields = await peek.entry(stream, str(entry_id))
            if fields is not None:
                await _note_published(search, peek, stream, str(entry_id), fields)


async def look_through(
    search: Search, peek: StreamSearch, entries: Iterable[tuple[str, str]]
) -> None:
    """Look through streams, given the (stream, entry id) of events that are known to match; raises StreamError."""
    known = [*entries, *search.published]
    for stream in search.config.streams:
        times = [id_number(entry_id)[0] for where, entry_id in known if where == stream]
        since = min(times, default=None)
        looker = _Looker(search, peek, stream, since, Query.of(search.ids))
        await looker.events()
        await looker.lanes()
        await looker.outcomes()
        await looker.letters()


@dataclass(frozen=True, slots=True)
class _Looker:
    search: Search
    peek: StreamSearch
    stream: str
    since_ms: int | None
    query: Query

    async def events(self) -> None:
        most = self.search.config.intake.max_event_bytes

        def wanted(fields: Fields) -> bool:
            return self.query.is_event(self.stream, fields, most)

        look = await self._look(self.stream, wanted)
        for spotted in look.hits:
            await _note_published(
                self.search, self.peek, self.stream, spotted.id, spotted.fields
            )
        self._note(f"event stream {self.stream}", [look])

    async def lanes(self) -> None:
        looks: list[SearchResult] = []
        keys = Keys(self.stream)
        for channel in self.search.config.channels:
            for urgent in (True, False):
                lane = keys.lane(channel, urgent=urgent)
                look = await self._look(lane, self.query.is_notification)
                looks.append(look)
                for spotted in look.hits:
                    notification = notification_in(spotted.fields)
                    if notification is not None:
                        hand = await self.peek.in_flight(lane, spotted.id)
                        state = await self._channel_state(channel)
                        waiting = waiting_of(lane, spotted, look.length, hand, state)
                        self.search.sightings.waiting.append(
                            (identity_of(notification), waiting)
                        )
        self._note(f"{len(looks)} lanes of {self.stream}", looks)

    async def _channel_state(self, channel: str) -> str:
        limits = RateLimits(self.peek)
        failing = (await limits.failing(self.stream)).get(channel)
        [pause] = await limits.pauses([channel])
        states = [failing.described()] if failing else []
        if pause:
            states.append(f"asked for a pause, {pause:.0f} s left")
        return " ".join([channel, ", ".join(states)]) if states else ""

    async def outcomes(self) -> None:
        key = Keys(self.stream).outcomes
        look = await self._look(key, self.query.is_outcome)
        for spotted in look.hits:
            record = outcome_in(spotted.fields)
            if record is not None:
                self.search.sightings.outcomes.append(ended_of(record, card=self.search.cards))
        self._note(f"outcomes that wait for Postgres, {key}", [look])

    async def letters(self) -> None:
        key = Keys(self.stream).dead
        look = await self._look(key, self.query.is_letter)
        found = {spotted.id: spotted for spotted in look.hits}
        text = self.search.text
        if _ENTRY_ID.fullmatch(text) and text not in found:
            fields = await self.peek.entry(key, text)
            if fields is not None:
                found[text] = SearchHit(text, fields, None)
        for spotted in found.values():
            letter, notification, outcome = letter_of(self.stream, spotted.id, spotted.fields)
            owner = identity_of(notification) if notification else None
            if outcome is not None:
                ended = ended_of(outcome, card=self.search.cards)
                owner = ended[0]
                self.search.sightings.outcomes.append(ended)
            self.search.sightings.letters.append((letter, owner))
        self._note(f"dead letters, {key}", [look])

    async def _look(self, stream: str, wanted: Callable[[Fields], bool]) -> SearchResult:
        look = await self.peek.search(
            stream,
            wanted,
            since_ms=self.since_ms,
            at_most=LOOKED_AT,
            page=_PAGE,
            limit=self.search.limit + 1,
        )
        self.search.more = self.search.more or look.more
        return look

    def _note(self, place: str, looks: list[SearchResult]) -> None:
        length = sum(look.length for look in looks)
        looked_at = sum(look.looked_at for look in looks)
        whole = all(look.looked_at >= look.length for look in looks)
        how = (
            f"all {length} entries"
            if whole
            else f"{looked_at} of {length} entries: the oldest and the newest"
        )
        if not whole and self.since_ms is not None:
            how += ", and those after the event"
        self.search.looked.append(Looked(place, how, whole))


async def _note_published(
    search: Search, peek: StreamSearch, stream: str, entry_id: str, fields: Fields
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
    accepted = await peek.accepted_entry(stream, event.id) if event else None
    read_up_to = await peek.read_up_to(stream)
    hand = await peek.in_flight(stream, entry_id)
    if read_up_to is None or id_number(entry_id) > id_number(read_up_to):
        intake = Intake.UNREAD
    elif hand is not None:
        intake = Intake.IN_HAND
    elif accepted not in (None, entry_id):
        intake = Intake.DUPLICATE
    else:
        intake = Intake.TAKEN_IN
    search.published[stream, entry_id] = Published(
        stream,
        entry_id,
        entry_time(entry_id),
        intake,
        hand.consumer if hand else None,
        event.id if event else None,
        event.correlation_id if event else None,
        event.type if event else None,
        fault,
        accepted,
    )
