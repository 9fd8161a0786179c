"""Replay and discard from the console: a sealed form, who and why, each dead letter once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web
from multidict import MultiDict

from notifier.dead_letters.audit import DeadLetterAudit
from notifier.dead_letters.listing import NoSuchDeadLetterError, show_dead_letter
from notifier.dead_letters.service import DeadLetterService
from notifier.errors import NotifierError, UnreachableError
from notifier.events.action import MAX_WHO, clean_line, clean_note
from notifier.web.console.dead_letters import AT_ONCE, Act, DeadLetterPages, Draft, replayer_of
from notifier.web.console.forms import ForgedFormError, FormSeal
from notifier.web.console.pages import Pages, operator_of
from notifier.web.console.parts import Away, ConsoleDependencies, known
from notifier.web.console.queries import DeadLetterRef, QueryError, dead_letter_ref

_ACT_SECONDS = 25.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one dead letter."""

    ref: DeadLetterRef
    result: str
    """done, gone, stays or not_tried."""
    text: str


class DeadLetterActions:
    """POST /console/dead-letters/replay and /discard."""

    def __init__(
        self, parts: ConsoleDependencies, pages: Pages, seal: FormSeal, letters: DeadLetterPages
    ) -> None:
        self._parts = parts
        self._pages = pages
        self._seal = seal
        self._letters = letters
        # One form at a time: a second click waits, and then finds everything done.
        self._turn = asyncio.Lock()

    async def replay(self, request: web.Request) -> web.Response:
        """Put dead letters back to work."""
        return await self._act(request, "replay")

    async def discard(self, request: web.Request) -> web.Response:
        """Take dead letters away for good."""
        return await self._act(request, "discard")

    async def _act(self, request: web.Request, act: Act) -> web.Response:
        try:
            form = await self._seal.read(request)
            refs = _refs(form, self._parts.config().streams)
        except ForgedFormError:
            return self._pages.message(
                request,
                "This form is out of date",
                "Nothing was done. It was opened before the daemon was restarted, in another browser, or by another site. Open it again and send it again.",
                status=403,
            )
        except QueryError as exc:
            return self._pages.message(request, "Nothing was done", str(exc), status=422)
        who = operator_of(request) or clean_line(form.get("who", ""), MAX_WHO)
        why = clean_note(form.get("why", ""))
        missing = [] if who else ["who"]
        if act == "discard" and not why:
            missing.append("why")
        if missing:
            return await self._letters.ask(request, Draft(act, refs, who, why, tuple(missing)))
        async with self._turn:
            done = await self._each(act, refs, who, why)
        log.info(
            "dead_letters_handled",
            action=act,
            who=who,
            done=sum(each.result == "done" for each in done),
            asked=len(refs),
        )
        return await self._result(request, act, done)

    async def _each(
        self, act: Act, refs: Sequence[DeadLetterRef], who: str, why: str
    ) -> list[Done]:
        parts = self._parts
        database = parts.config().database
        letter_log = DeadLetterAudit(
            database.url, connect_timeout_seconds=database.connect_timeout_seconds
        )
        desk = DeadLetterService(parts.group, letter_log, replayer_of(parts))
        done: list[Done] = []
        try:
            async with asyncio.timeout(_ACT_SECONDS):
                for ref in refs:
                    # One by one, so that what was done is known when time is up.
                    done.append(await self._one(desk, act, ref, who, why))  # noqa: PERF401
        except (UnreachableError, TimeoutError) as exc:
            why_not = str(exc) or "time was up; what is still in the list was not done"
            done += [Done(ref, "not_tried", why_not) for ref in refs[len(done) :]]
        finally:
            await letter_log.close()
        return done

    async def _one(
        self, desk: DeadLetterService, act: Act, ref: DeadLetterRef, who: str, why: str
    ) -> Done:
        try:
            letter = await show_dead_letter(
                desk.group, [ref.stream], self._parts.masking(), ref.id
            )
            if act == "discard":
                discarded = await desk.discard(letter, who=who, why=why)
                return Done(ref, "done", "discarded") if discarded else _gone(ref)
            replayed = await desk.replay(letter, who=who, why=why or None)
        except NoSuchDeadLetterError:
            return _gone(ref)
        except UnreachableError:
            raise
        except NotifierError as exc:
            return Done(ref, "stays", str(exc))
        if not replayed.done:
            return _gone(ref)
        return Done(ref, "done", f"went to {', '.join(replayed.places)}")

    async def _result(
        self, request: web.Request, act: Act, done: Sequence[Done]
    ) -> web.Response:
        earlier: object = ()
        if len(done) == 1 and done[0].result == "gone":
            ref = done[0].ref
            earlier = await known(
                "Postgres", self._parts.store.letter_actions(ref.stream, ref.id, {})
            )
        counts = {
            result: sum(each.result == result for each in done)
            for result in ("done", "gone", "stays", "not_tried")
        }
        return self._pages.page(
            request,
            "acted.html",
            status=503 if counts["not_tried"] else 200,
            act=act,
            done=done,
            counts=counts,
            earlier=() if isinstance(earlier, Away) else earlier,
        )


def _refs(form: MultiDict[str], streams: Sequence[str]) -> tuple[DeadLetterRef, ...]:
    refs = [dead_letter_ref(text, streams) for text in form.getall("letter", [])]
    if not 0 < len(refs) <= AT_ONCE:
        raise QueryError(f"Select between 1 and {AT_ONCE} dead letters.")
    return tuple(dict.fromkeys(refs))


def _gone(ref: DeadLetterRef) -> Done:
    return Done(ref, "gone", "was replayed or discarded before; nothing was changed")
