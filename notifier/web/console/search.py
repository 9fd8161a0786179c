"""Search: the whole way of whatever an id stands for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import groupby

from aiohttp import web

from notifier.ops.trace import IdError, State, Step, Timeline, TraceResult, steps_of
from notifier.ops.trace.models import Identity, Intake, Published
from notifier.web.console.pages import Pages
from notifier.web.console.parts import Away, ConsoleDependencies

_SEARCH_SECONDS = 15.0
_MOST = 20

_STATES = {
    State.WAITING: ("Waiting", "calm"),
    State.IN_HAND: ("Being delivered", "calm"),
    State.DELIVERED: ("Delivered", "good"),
    State.DEAD_LETTERED: ("Dead letter", "bad"),
    State.DISCARDED: ("Discarded", "warn"),
}


@dataclass(frozen=True, slots=True)
class TimelineView:
    """The way of one notification."""

    journey: Timeline
    state: str
    tone: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class EventView:
    """An event, and its way to each channel."""

    identity: Identity
    ways: tuple[TimelineView, ...]


@dataclass(frozen=True, slots=True)
class FoundView:
    """What was found, as it is shown."""

    events: tuple[EventView, ...]
    entries: tuple[tuple[Published, str], ...]
    """Entries of event streams that stand for none of the events, or once more for one, and what became of them."""
    found: TraceResult


def found_view(found: TraceResult) -> FoundView:
    """Gather the ways by event, in the order in which they were found."""
    events = tuple(
        EventView(ways[0].identity, tuple(_way(each) for each in ways))
        for _, group in groupby(
            found.journeys, key=lambda each: (each.identity.stream, each.identity.event_id)
        )
        for ways in [list(group)]
    )
    shown = {(event.identity.stream, event.identity.event_id) for event in events}
    entries = tuple(
        (each, _intake(each))
        for each in found.published
        if each.intake is not Intake.TAKEN_IN or (each.stream, each.event_id) not in shown
    )
    return FoundView(events, entries, found)


def _way(journey: Timeline) -> TimelineView:
    word, tone = _STATES[journey.state]
    return TimelineView(journey, word, tone, tuple(steps_of(journey)))


def _intake(published: Published) -> str:
    match published.intake:
        case Intake.UNREAD:
            return "waits in the event stream; nobody has read it yet"
        case Intake.IN_HAND:
            return f"is in the hand of {published.consumer}"
        case Intake.DUPLICATE:
            return f"was dropped: its event id was accepted before, as entry {published.accepted_entry}"
        case Intake.TAKEN_IN:
            return "was taken in"


class SearchPage:
    """GET /console/search."""

    def __init__(self, parts: ConsoleDependencies, pages: Pages) -> None:
        self._parts = parts
        self._pages = pages
        # A search reads much: one at a time, so that the stages have Redis for themselves.
        self._turn = asyncio.Lock()

    async def show(self, request: web.Request) -> web.Response:
        """Show the form, and what the id that was typed stands for."""
        text = request.query.get("q", "").strip()
        if not text:
            return self._pages.page(request, "search.html", query="", problem="", result=None)
        try:
            async with asyncio.timeout(_SEARCH_SECONDS), self._turn:
                found = await self._parts.finder.find(self._parts.config(), text, limit=_MOST)
        except IdError as exc:
            return self._pages.page(
                request, "search.html", status=422, query=text[:300], problem=str(exc), result=None,
            )  # fmt: skip
        except TimeoutError:
            away = Away(
                "Redis", f"The search took longer than {_SEARCH_SECONDS:g} seconds; try again."
            )
            return self._pages.page(
                request, "search.html", status=503, query=text, problem="", result=away
            )
        return self._pages.page(
            request, "search.html", query=text, problem="", result=found_view(found)
        )
