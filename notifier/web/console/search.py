"""The search page: the timeline of everything that an id belongs to."""

from __future__ import annotations

import asyncio

from aiohttp import web

from notifier.ops.trace.models import State, TraceResult
from notifier.ops.trace.search import IdError
from notifier.ops.trace.timeline import steps_of
from notifier.web.console.pages import ConsoleDependencies, Pages, Unavailable

_SEARCH_SECONDS = 15.0
_MOST = 20

_STATES = {
    State.WAITING: ("Waiting", "calm"),
    State.IN_FLIGHT: ("Being delivered", "calm"),
    State.DELIVERED: ("Delivered", "good"),
    State.DEAD_LETTERED: ("Dead letter", "bad"),
    State.DISCARDED: ("Discarded", "warn"),
}
"""The label and the tone of a state."""


class SearchPage:
    """GET /console/search."""

    def __init__(self, dependencies: ConsoleDependencies, pages: Pages) -> None:
        self._dependencies = dependencies
        self._pages = pages
        # A search reads much: one at a time, so that Redis stays free for the stages.
        self._lock = asyncio.Lock()

    async def show(self, request: web.Request) -> web.Response:
        """Show the form, and the timelines of the given id."""
        text = request.query.get("q", "").strip()
        if not text:
            return self._page(request, "", None)
        finder, config = self._dependencies.finder, self._dependencies.config()
        try:
            async with asyncio.timeout(_SEARCH_SECONDS), self._lock:
                found = await finder.find(config, text, limit=_MOST)
        except IdError as exc:
            return self._page(request, text[:300], None, problem=str(exc), status=422)
        except TimeoutError:
            why = f"The search took longer than {_SEARCH_SECONDS:g} seconds; try again."
            return self._page(request, text, Unavailable("Redis", why), status=503)
        return self._page(request, text, found)

    def _page(
        self,
        request: web.Request,
        query: str,
        found: TraceResult | Unavailable | None,
        *,
        problem: str = "",
        status: int = 200,
    ) -> web.Response:
        known = found if isinstance(found, TraceResult) else None
        return self._pages.page(
            request,
            "search.html",
            status=status,
            query=query,
            problem=problem,
            found=found,
            events=known.by_event if known else [],
            entries=known.other_entries if known else [],
            states=_STATES,
            steps_of=steps_of,
        )
