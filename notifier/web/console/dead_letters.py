"""Pages about dead letters: the list, one of them, and the form that asks who and why before anything is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from notifier.broker.keys import Keys
from notifier.cards.redact_links import without_links
from notifier.dead_letters.listing import (
    DeadLetter,
    DeadLetterPage,
    Filter,
    Listed,
    NoSuchDeadLetterError,
    dead_letter_page,
    scan_dead_letters,
    show_dead_letter,
)
from notifier.dead_letters.replay import Replayer
from notifier.errors import NotifierError
from notifier.web.console.forms import FormSeal
from notifier.web.console.pages import Pages
from notifier.web.console.parts import Away, ConsoleDependencies, known
from notifier.web.console.queries import (
    DEAD_LETTER_FIELDS,
    DeadLetterQuery,
    DeadLetterRef,
    QueryError,
    dead_letter_ref,
    shown_of,
)
from notifier.web.console.views import DeadLetterView, dead_letter_view

PER_PAGE = 50
AT_ONCE = 200
"""Dead letters that one form acts on at most."""

Act = Literal["replay", "discard"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be done, with what has been entered so far."""

    act: Act
    refs: tuple[DeadLetterRef, ...]
    who: str = ""
    why: str = ""
    missing: tuple[str, ...] = ()
    """Fields that have to be filled in."""


class DeadLetterPages:
    """GET /console/dead-letters and below."""

    def __init__(self, parts: ConsoleDependencies, pages: Pages, seal: FormSeal) -> None:
        self._parts = parts
        self._pages = pages
        self._seal = seal

    async def list(self, request: web.Request) -> web.Response:
        """List dead letters, newest first."""
        config = self._parts.config()
        try:
            asked = DeadLetterQuery.read(request.query, config.streams)
        except QueryError as exc:
            return self._listed(
                request, Away("", ""), shown_of(request.query, DEAD_LETTER_FIELDS), str(exc)
            )
        found = await known(
            "Redis",
            dead_letter_page(
                self._parts.group,
                config.streams,
                asked.filter,
                after=asked.after,
                limit=PER_PAGE,
            ),
        )
        return self._listed(request, found, asked.shown)

    def _listed(
        self,
        request: web.Request,
        found: DeadLetterPage | Away,
        shown: Mapping[str, str],
        problem: str = "",
    ) -> web.Response:
        config = self._parts.config()
        following = ""
        if isinstance(found, DeadLetterPage) and found.next is not None:
            after = DeadLetterRef(found.next.id, found.next.stream).text
            following = urlencode({**shown, "after": after})
        return self._pages.page(
            request,
            "letters.html",
            status=422 if problem else 200,
            found=found,
            letters=()
            if isinstance(found, Away)
            else tuple(map(dead_letter_view, found.letters)),
            shown=shown,
            problem=problem,
            following=following,
            first_page="after" not in request.query,
            channels=config.channels,
            event_types=sorted(config.routes),
            at_once=AT_ONCE,
        )

    async def show(self, request: web.Request) -> web.Response:
        """Show one dead letter, patient data masked."""
        parts, config = self._parts, self._parts.config()
        query = request.query
        try:
            ref = dead_letter_ref(
                f"{query.get('id', '')} {query.get('stream', '')}", config.streams
            )
            letter = await known_letter(parts, ref)
        except (QueryError, NoSuchDeadLetterError):
            return await self._gone(request)
        if isinstance(letter, Away):
            return self._pages.page(
                request, "away.html", status=503, away=letter, title="Dead letter"
            )
        actions = await known(
            "Postgres", parts.store.letter_actions(letter.stream, letter.id, letter.fields)
        )
        places, obstacle = _places(replayer_of(parts), letter)
        event = await asyncio.to_thread(without_links, letter.event)
        return self._pages.page(
            request,
            "letter.html",
            letter=dead_letter_view(Listed(letter.id, letter.stream, letter.fields)),
            event=event,
            actions=actions,
            places=places,
            obstacle=obstacle,
        )

    async def _gone(self, request: web.Request) -> web.Response:
        config, query = self._parts.config(), request.query
        actions: object = ()
        try:
            ref = dead_letter_ref(
                f"{query.get('id', '')} {query.get('stream', '')}", config.streams
            )
            actions = await known(
                "Postgres", self._parts.store.letter_actions(ref.stream, ref.id, {})
            )
        except QueryError:
            pass
        return self._pages.page(request, "letter_gone.html", status=404, actions=actions)

    async def confirm(self, request: web.Request) -> web.Response:
        """Ask who and why; nothing is done yet."""
        try:
            act, everything = _do(request.query.get("do", ""))
            if not everything:
                return await self.ask(request, Draft(act, self._ticked(request.query)))
            asked = DeadLetterQuery.read(request.query, self._parts.config().streams)
        except QueryError as exc:
            return self._pages.message(request, "Nothing was done", str(exc), status=422)
        found = await known("Redis", self._matching(asked.filter))
        if isinstance(found, Away):
            return self._pages.page(
                request, "away.html", status=503, away=found, title="Dead letters"
            )
        if not found:
            why = "No dead letter matches the filter any more."
            return self._pages.message(request, "Nothing was done", why, status=422)
        return await self.ask(request, Draft(act, tuple(each.ref for each in found)), found)

    def _ticked(self, query: MultiMapping[str]) -> tuple[DeadLetterRef, ...]:
        streams = self._parts.config().streams
        refs = [dead_letter_ref(text, streams) for text in query.getall("letter", [])]
        if not refs:
            raise QueryError(
                "Nothing is selected. Go back and tick the dead letters that you mean."
            )
        return _oldest_first(refs)[:AT_ONCE]

    async def _matching(self, wanted: Filter) -> tuple[DeadLetterView, ...]:
        """Return the oldest ones that match; pages may be empty before the end."""
        found: list[DeadLetterView] = []
        after = None
        while True:
            page = await dead_letter_page(
                self._parts.group,
                self._parts.config().streams,
                wanted,
                after=after,
                newest_first=False,
                limit=AT_ONCE - len(found),
            )
            found += map(dead_letter_view, page.letters)
            after = page.next
            if after is None or len(found) >= AT_ONCE:
                return tuple(found)

    async def ask(
        self,
        request: web.Request,
        draft: Draft,
        found: tuple[DeadLetterView, ...] | None = None,
    ) -> web.Response:
        """Return the form with who and why; `found` are the letters, if they were read already."""
        browser = self._seal.browser_of(request)
        letters = await known("Redis", self._look(draft.refs)) if found is None else found
        response = self._pages.page(
            request,
            "confirm.html",
            status=422 if draft.missing else 200,
            draft=draft,
            seal=self._seal.seal(request, browser),
            groups=letters if isinstance(letters, Away) else _groups(letters),
            gone=0 if isinstance(letters, Away) else len(draft.refs) - len(letters),
            at_once=AT_ONCE,
        )
        self._seal.keep(request, response, browser)
        return response

    async def _look(self, refs: Sequence[DeadLetterRef]) -> tuple[DeadLetterView, ...]:
        """Return those that are still there, without their events."""
        found: list[DeadLetterView] = []
        for ref in refs:
            glance = await scan_dead_letters(
                self._parts.group,
                Keys(ref.stream).dead,
                ref.id,
                ref.id,
                newest_first=False,
                wanted={},
                limit=1,
                looks=1,
            )
            found += [
                dead_letter_view(Listed(each, ref.stream, fields))
                for each, fields in glance.found
            ]
        return tuple(found)


async def known_letter(parts: ConsoleDependencies, ref: DeadLetterRef) -> DeadLetter | Away:
    """Return a dead letter; raises NoSuchDeadLetterError."""
    try:
        async with asyncio.timeout(4):
            return await show_dead_letter(parts.group, [ref.stream], parts.masking(), ref.id)
    except TimeoutError:
        return Away("Redis", "Redis did not answer in time.")
    except NoSuchDeadLetterError:
        raise
    except NotifierError as exc:
        return Away("Redis", str(exc))


def replayer_of(parts: ConsoleDependencies) -> Replayer:
    """Return what turns dead letters back into work, with the settings in force."""
    return Replayer(parts.catalogue(), parts.masking(), parts.config().intake.max_event_bytes)


def _places(replayer: Replayer, letter: DeadLetter) -> tuple[tuple[str, ...], str]:
    try:
        targets = replayer.targets(letter.stream, letter.fields, letter.raw)
    except NotifierError as exc:
        return (), str(exc)
    return tuple(stream for stream, _ in targets), ""


def _do(text: str) -> tuple[Act, bool]:
    match text:
        case "replay":
            return "replay", False
        case "discard":
            return "discard", False
        case "replay_all":
            return "replay", True
        case "discard_all":
            return "discard", True
        case _:
            raise QueryError("Choose Replay or Discard.")


def _oldest_first(refs: Sequence[DeadLetterRef]) -> tuple[DeadLetterRef, ...]:
    return tuple(sorted(set(refs), key=lambda ref: (*map(int, ref.id.split("-")), ref.stream)))


def _groups(letters: Sequence[DeadLetterView]) -> list[tuple[DeadLetterView, int]]:
    """Return one of each kind and how many there are, the most first."""
    kinds: dict[tuple[str, str, str], DeadLetterView] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for letter in letters:
        kind = (letter.reason, letter.channel, letter.event_type)
        kinds.setdefault(kind, letter)
        counts[kind] += 1
    return [(kinds[kind], count) for kind, count in counts.most_common()]
