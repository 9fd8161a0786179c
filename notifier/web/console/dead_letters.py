"""Pages about dead letters: the list, one, and the form to confirm."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from notifier.cards.redact_links import without_links
from notifier.dead_letters.display import masked
from notifier.dead_letters.listing import (
    DeadLetterPage,
    Filter,
    NoSuchDeadLetterError,
    dead_letter_page,
    find_dead_letter,
)
from notifier.dead_letters.model import DeadLetter
from notifier.dead_letters.replay import Replayer
from notifier.errors import NotifierError
from notifier.web.console.pages import ConsoleDependencies, Pages, Unavailable, read_from
from notifier.web.console.queries import (
    DEAD_LETTER_FIELDS,
    DeadLetterQuery,
    DeadLetterRef,
    QueryError,
    dead_letter_ref,
    shown_of,
)

PER_PAGE = 50
AT_ONCE = 200
"""The most dead letters that one form acts on."""
_LATEST_MS = 253_402_300_799_000
"""The end of the year 9999."""

Act = Literal["replay", "discard"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an earlier try of the same notification ended."""

    dead_at: str
    reason: str
    detail: str


def died_at(dead_letter: DeadLetter) -> datetime:
    """Return the time in its id, at most the end of the year 9999."""
    ms = min(int(dead_letter.id.partition("-")[0]), _LATEST_MS)
    return datetime.fromtimestamp(ms / 1000, UTC)


def attempts_of(dead_letter: DeadLetter) -> int:
    """Return the attempts, also those before replays; 0 if unreadable."""
    return dead_letter.count("attempts") + dead_letter.count("attempts_before")


def history_of(dead_letter: DeadLetter) -> list[Ending]:
    """Return how earlier tries ended; empty if unreadable."""
    try:
        endings = json.loads(dead_letter.fields.get("history") or "[]")
    except (ValueError, RecursionError):
        return []
    return [
        Ending(*(str(each.get(name, "")) for name in ("dead_at", "reason", "detail")))
        for each in (endings if isinstance(endings, list) else [])
        if isinstance(each, Mapping)
    ]


@dataclass(frozen=True, slots=True)
class Draft:
    """A form before its action, with its entries so far."""

    act: Act
    refs: tuple[DeadLetterRef, ...]
    who: str = ""
    why: str = ""
    missing: tuple[str, ...] = ()
    """Required fields without a value."""


class DeadLetterPages:
    """GET /console/dead-letters and below."""

    def __init__(self, dependencies: ConsoleDependencies, pages: Pages) -> None:
        self._dependencies = dependencies
        self._pages = pages

    async def list(self, request: web.Request) -> web.Response:
        """List dead letters, newest first."""
        config = self._dependencies.config()
        found: DeadLetterPage | Unavailable | None = None
        shown, problem, following = shown_of(request.query, DEAD_LETTER_FIELDS), "", ""
        try:
            query = DeadLetterQuery.read(request.query, config.streams)
        except QueryError as exc:
            problem = str(exc)
        else:
            page = dead_letter_page(
                self._dependencies.streams,
                config.streams,
                query.filter,
                after=query.after,
                limit=PER_PAGE,
            )
            found = await read_from("Redis", page)
        if isinstance(found, DeadLetterPage) and found.next is not None:
            following = urlencode({**shown, "after": DeadLetterRef.of(found.next).text})
        return self._pages.page(
            request,
            "dead_letters.html",
            status=422 if problem else 200,
            found=found,
            died_at=died_at,
            ref_of=DeadLetterRef.of,
            shown=shown,
            problem=problem,
            following=following,
            first_page="after" not in request.query,
            channels=config.channels,
            event_types=sorted(config.routes),
            at_once=AT_ONCE,
        )

    async def show(self, request: web.Request) -> web.Response:
        """Show one dead letter, with masked patient data."""
        query = request.query
        text = f"{query.get('id', '')} {query.get('stream', '')}"
        try:
            ref = dead_letter_ref(text, self._dependencies.config().streams)
        except QueryError:
            return self._pages.page(request, "dead_letter_gone.html", status=404, actions=())
        found = await read_from("Redis", self._find(ref))
        if isinstance(found, Unavailable):
            return self._pages.unavailable(request, "Dead letter", found)
        fields = {} if found is None else found.fields
        actions = await read_from(
            "Postgres", self._dependencies.store.dead_letter_actions(ref.stream, ref.id, fields)
        )
        if found is None:
            return self._pages.page(
                request, "dead_letter_gone.html", status=404, actions=actions
            )
        streams, obstacle = [], ""
        try:
            targets = replayer_of(self._dependencies).targets(found)
            streams = [stream for stream, _ in targets]
        except NotifierError as exc:
            obstacle = str(exc)
        event = await asyncio.to_thread(masked, found, self._dependencies.masking())
        return self._pages.page(
            request,
            "dead_letter.html",
            dead_letter=found,
            ref=ref,
            died_at=died_at(found),
            attempts=attempts_of(found),
            history=history_of(found),
            event=without_links(event["event"]),
            actions=actions,
            streams=streams,
            obstacle=obstacle,
        )

    async def _find(self, ref: DeadLetterRef) -> DeadLetter | None:
        try:
            return await find_dead_letter(self._dependencies.streams, [ref.stream], ref.id)
        except NoSuchDeadLetterError:
            return None

    async def confirm(self, request: web.Request) -> web.Response:
        """Ask for name and reason; nothing is done yet."""
        streams = self._dependencies.config().streams
        try:
            act, everything = _chosen_action(request.query.get("do", ""))
            if not everything:
                return await self.ask(request, Draft(act, _ticked(request.query, streams)))
            query = DeadLetterQuery.read(request.query, streams)
        except QueryError as exc:
            return self._pages.message(request, "Nothing was done", str(exc), status=422)
        found = await read_from("Redis", self._matching(query.filter))
        if isinstance(found, Unavailable):
            return self._pages.unavailable(request, "Dead letters", found)
        if not found:
            why = "No dead letter matches the filter any more."
            return self._pages.message(request, "Nothing was done", why, status=422)
        refs = tuple(map(DeadLetterRef.of, found))
        return await self.ask(request, Draft(act, refs), found)

    async def _matching(self, wanted: Filter) -> Sequence[DeadLetter]:
        """Return the oldest matches; pages may be empty before the end."""
        found: list[DeadLetter] = []
        after = None
        while True:
            page = await dead_letter_page(
                self._dependencies.streams,
                self._dependencies.config().streams,
                wanted,
                after=after,
                newest_first=False,
                limit=AT_ONCE - len(found),
            )
            found += page.dead_letters
            after = page.next
            if after is None or len(found) >= AT_ONCE:
                return found

    async def ask(
        self, request: web.Request, draft: Draft, found: Sequence[DeadLetter] = ()
    ) -> web.Response:
        """Return the form for name and reason.

        `found` are the dead letters, if they are already read.
        """
        current: Sequence[DeadLetter] | Unavailable
        current = found or await read_from("Redis", self._current(draft.refs))
        return self._pages.page(
            request,
            "confirm.html",
            status=422 if draft.missing else 200,
            draft=draft,
            groups=current if isinstance(current, Unavailable) else _kinds(current),
            gone=0 if isinstance(current, Unavailable) else len(draft.refs) - len(current),
            at_once=AT_ONCE,
        )

    async def _current(self, refs: Sequence[DeadLetterRef]) -> Sequence[DeadLetter]:
        """Return those that still exist."""
        found = [await self._find(ref) for ref in refs]
        return [each for each in found if each is not None]


def replayer_of(dependencies: ConsoleDependencies) -> Replayer:
    """Return a replayer with the current settings."""
    return Replayer(
        dependencies.catalogue(),
        dependencies.masking(),
        dependencies.config().intake.max_event_bytes,
    )


def _chosen_action(text: str) -> tuple[Act, bool]:
    """Return the action, and whether it is meant for all that match."""
    act, _, everything = text.partition("_")
    if act not in ("replay", "discard") or everything not in ("", "all"):
        raise QueryError("Choose Replay or Discard.")
    return ("replay" if act == "replay" else "discard"), bool(everything)


def _ticked(query: MultiMapping[str], streams: Sequence[str]) -> tuple[DeadLetterRef, ...]:
    """Return the selected dead letters, oldest first."""
    refs = {dead_letter_ref(text, streams) for text in query.getall("letter", [])}
    if not refs:
        raise QueryError("Nothing is selected. Go back and select dead letters.")
    return tuple(sorted(refs, key=lambda ref: ref.age))[:AT_ONCE]


def _kinds(found: Sequence[DeadLetter]) -> list[tuple[tuple[str, ...], int]]:
    """Count them by reason, channel and event type, the most frequent first."""
    names = ("reason", "channel", "event_type")
    kinds = Counter(tuple(each.fields.get(name, "") for name in names) for each in found)
    return kinds.most_common()
