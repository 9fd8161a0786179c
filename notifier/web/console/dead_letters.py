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
from pydantic import JsonValue

from notifier.cards.redact_links import without_links
from notifier.dead_letters.listing import (
    DeadLetter,
    DeadLetterPage,
    Filter,
    NoSuchDeadLetterError,
    dead_letter_page,
    find_dead_letter,
)
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
_SHOWN_DETAIL = 400
_LATEST_MS = 253_402_300_799_000
"""The end of the year 9999."""

Act = Literal["replay", "discard"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an earlier try of the same notification ended."""

    dead_at: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """A dead letter without its event."""

    ref: DeadLetterRef
    died_at: datetime
    reason: str
    detail: str
    stage: str
    channel: str
    event_type: str
    priority: str
    correlation_id: str
    event_id: str
    notification_id: str
    last_status: str
    source: str
    signer: str
    """The producer in the entry's signature, which may be forged."""
    attempts: int
    """In all of its lives."""
    history: tuple[Ending, ...]


def dead_letter_view(entry_id: str, stream: str, fields: Mapping[str, str]) -> DeadLetterView:
    """Return a dead letter for a page, even if its fields are malformed."""
    ms = min(int(entry_id.partition("-")[0]), _LATEST_MS)
    texts = (
        "stage", "channel", "event_type", "priority", "correlation_id", "event_id", "notification_id", "last_status",
        "source", "signer",
    )  # fmt: skip
    return DeadLetterView(
        ref=DeadLetterRef(entry_id, stream),
        died_at=datetime.fromtimestamp(ms / 1000, UTC),
        reason=fields.get("reason", ""),
        detail=fields.get("detail", "")[:_SHOWN_DETAIL],
        attempts=_count(fields.get("attempts", "")) + _count(fields.get("attempts_before", "")),
        history=_history(fields.get("history", "")),
        **{name: fields.get(name, "") for name in texts},
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _history(text: str) -> tuple[Ending, ...]:
    try:
        endings = json.loads(text or "[]")
    except ValueError:
        return ()
    if not isinstance(endings, list):
        return ()
    return tuple(
        Ending(*(str(each.get(name, "")) for name in ("dead_at", "reason", "detail")))
        for each in endings
        if isinstance(each, Mapping)
    )


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
                self._dependencies.group,
                config.streams,
                query.filter,
                after=query.after,
                limit=PER_PAGE,
            )
            found = await read_from("Redis", page)
        views: tuple[DeadLetterView, ...] = ()
        if isinstance(found, DeadLetterPage):
            views = tuple(_view(each) for each in found.dead_letters)
            if found.next is not None:
                after = DeadLetterRef(found.next.id, found.next.stream).text
                following = urlencode({**shown, "after": after})
        return self._pages.page(
            request,
            "dead_letters.html",
            status=422 if problem else 200,
            found=found,
            dead_letters=views,
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
        streams, obstacle = _destinations(replayer_of(self._dependencies), found)
        return self._pages.page(
            request,
            "dead_letter.html",
            dead_letter=dead_letter_view(ref.id, ref.stream, found.fields),
            event=await asyncio.to_thread(self._shown_event, found),
            actions=actions,
            streams=streams,
            obstacle=obstacle,
        )

    def _shown_event(self, found: DeadLetter) -> JsonValue:
        return without_links(found.masked(self._dependencies.masking())["event"])

    async def _find(self, ref: DeadLetterRef) -> DeadLetter | None:
        try:
            return await find_dead_letter(self._dependencies.group, [ref.stream], ref.id)
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
        return await self.ask(request, Draft(act, tuple(each.ref for each in found)), found)

    async def _matching(self, wanted: Filter) -> tuple[DeadLetterView, ...]:
        """Return the oldest matches; pages may be empty before the end."""
        found: list[DeadLetterView] = []
        after = None
        while True:
            page = await dead_letter_page(
                self._dependencies.group,
                self._dependencies.config().streams,
                wanted,
                after=after,
                newest_first=False,
                limit=AT_ONCE - len(found),
            )
            found += map(_view, page.dead_letters)
            after = page.next
            if after is None or len(found) >= AT_ONCE:
                return tuple(found)

    async def ask(
        self,
        request: web.Request,
        draft: Draft,
        found: tuple[DeadLetterView, ...] = (),
    ) -> web.Response:
        """Return the form for name and reason.

        `found` are the dead letters, if they are already read.
        """
        current: tuple[DeadLetterView, ...] | Unavailable
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

    async def _current(self, refs: Sequence[DeadLetterRef]) -> tuple[DeadLetterView, ...]:
        """Return those that still exist, without their events."""
        found = [await self._find(ref) for ref in refs]
        return tuple(_view(each) for each in found if each is not None)


def replayer_of(dependencies: ConsoleDependencies) -> Replayer:
    """Return a replayer with the current settings."""
    return Replayer(
        dependencies.catalogue(),
        dependencies.masking(),
        dependencies.config().intake.max_event_bytes,
    )


def _view(listed: DeadLetter) -> DeadLetterView:
    return dead_letter_view(listed.id, listed.stream, listed.fields)


def _destinations(replayer: Replayer, found: DeadLetter) -> tuple[tuple[str, ...], str]:
    """Return the streams that a replay adds to, or why it cannot be replayed."""
    try:
        targets = replayer.targets(found.stream, found.fields, found.raw)
    except NotifierError as exc:
        return (), str(exc)
    return tuple(stream for stream, _ in targets), ""


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


def _kinds(found: Sequence[DeadLetterView]) -> list[tuple[DeadLetterView, int]]:
    """Return one of each kind with its number, the most frequent first."""
    kinds: dict[tuple[str, str, str], DeadLetterView] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for each in found:
        kind = (each.reason, each.channel, each.event_type)
        kinds.setdefault(kind, each)
        counts[kind] += 1
    return [(kinds[kind], count) for kind, count in counts.most_common()]
