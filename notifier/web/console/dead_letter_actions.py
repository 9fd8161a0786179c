"""Replay and discard dead letters, with name and reason, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web
from multidict import MultiDict

from notifier.dead_letters.audit import DeadLetterAudit
from notifier.dead_letters.listing import NoSuchDeadLetterError, find_dead_letter
from notifier.dead_letters.replay import DeadLetterService
from notifier.errors import NotifierError, UnreachableError
from notifier.events.action import MAX_WHO, clean_line, clean_note
from notifier.web.admin.access import OPERATOR
from notifier.web.console.dead_letters import (
    AT_ONCE,
    Act,
    DeadLetterPages,
    Draft,
    replayer_of,
)
from notifier.web.console.pages import (
    ConsoleDependencies,
    Pages,
    Unavailable,
    read_from,
)
from notifier.web.console.queries import DeadLetterRef, QueryError, dead_letter_ref
from notifier.web.http.forms import read_form

_ACT_SECONDS = 25.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The result for one dead letter."""

    ref: DeadLetterRef
    result: str
    """done, gone, stays or not_tried."""
    text: str


class DeadLetterActions:
    """POST /console/dead-letters/replay and /discard."""

    def __init__(
        self, dependencies: ConsoleDependencies, pages: Pages, dead_letters: DeadLetterPages
    ) -> None:
        self._dependencies = dependencies
        self._pages = pages
        self._dead_letters = dead_letters
        # One form at a time: a second click waits, and then finds everything done.
        self._lock = asyncio.Lock()

    async def act(self, request: web.Request) -> web.Response:
        """Replay dead letters, or remove them permanently."""
        act: Act = "replay" if request.match_info["act"] == "replay" else "discard"
        form = await read_form(request)
        try:
            refs = _refs(form, self._dependencies.config().streams)
        except QueryError as exc:
            return self._pages.message(request, "Nothing was done", str(exc), status=422)
        who = request[OPERATOR] or clean_line(form.get("who", ""), MAX_WHO)
        why = clean_note(form.get("why", ""))
        missing = [] if who else ["who"]
        if act == "discard" and not why:
            missing.append("why")
        if missing:
            draft = Draft(act, refs, who, why, tuple(missing))
            return await self._dead_letters.ask(request, draft)
        async with self._lock:
            results = await self._each(act, refs, who, why)
        log.info(
            "dead_letters_handled",
            action=act,
            who=who,
            done=sum(each.result == "done" for each in results),
            asked=len(refs),
        )
        return await self._result_page(request, act, results)

    async def _each(
        self, act: Act, refs: Sequence[DeadLetterRef], who: str, why: str
    ) -> list[Done]:
        database = self._dependencies.config().database
        audit = DeadLetterAudit(
            database.url, connect_timeout_seconds=database.connect_timeout_seconds
        )
        service = DeadLetterService(
            self._dependencies.streams, audit, replayer_of(self._dependencies)
        )
        results: list[Done] = []
        try:
            async with asyncio.timeout(_ACT_SECONDS):
                for ref in refs:
                    # One by one, so that the results are known if time runs out.
                    results.append(await self._one(service, act, ref, who, why))  # noqa: PERF401
        except (UnreachableError, TimeoutError) as exc:
            why_not = (
                str(exc) or "time ran out; the dead letters still in the list were not touched"
            )
            results += [Done(ref, "not_tried", why_not) for ref in refs[len(results) :]]
        finally:
            await audit.close()
        return results

    async def _one(
        self, service: DeadLetterService, act: Act, ref: DeadLetterRef, who: str, why: str
    ) -> Done:
        try:
            found = await find_dead_letter(service.streams, [ref.stream], ref.id)
            if act == "discard":
                discarded = await service.discard(found, who=who, why=why)
                return Done(ref, "done", "discarded") if discarded else _gone(ref)
            replayed = await service.replay(found, who=who, why=why or None)
        except NoSuchDeadLetterError:
            return _gone(ref)
        except UnreachableError:
            raise
        except NotifierError as exc:
            return Done(ref, "stays", str(exc))
        if not replayed.done:
            return _gone(ref)
        return Done(ref, "done", f"went to {', '.join(replayed.places)}")

    async def _result_page(
        self, request: web.Request, act: Act, results: Sequence[Done]
    ) -> web.Response:
        earlier: object = ()
        if len(results) == 1 and results[0].result == "gone":
            ref = results[0].ref
            earlier = await read_from(
                "Postgres", self._dependencies.store.dead_letter_actions(ref.stream, ref.id, {})
            )
        counts = {
            result: sum(each.result == result for each in results)
            for result in ("done", "gone", "stays", "not_tried")
        }
        return self._pages.page(
            request,
            "acted.html",
            status=503 if counts["not_tried"] else 200,
            act=act,
            results=results,
            counts=counts,
            earlier=() if isinstance(earlier, Unavailable) else earlier,
        )


def _refs(form: MultiDict[str], streams: Sequence[str]) -> tuple[DeadLetterRef, ...]:
    refs = [dead_letter_ref(text, streams) for text in form.getall("letter", [])]
    if not 0 < len(refs) <= AT_ONCE:
        raise QueryError(f"Select between 1 and {AT_ONCE} dead letters.")
    return tuple(dict.fromkeys(refs))


def _gone(ref: DeadLetterRef) -> Done:
    return Done(ref, "gone", "was replayed or discarded before; nothing was changed")
