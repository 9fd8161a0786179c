"""The public listener: action pages behind signed links, and the callback; nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from aiohttp import web
from aiohttp.typedefs import Middleware

from notifier.errors import TokenError, UnreachableError
from notifier.escalation.acknowledge import (
    Accepted,
    ActionService,
    AlreadyActed,
    NotNow,
    Situation,
)
from notifier.events.action import ESCALATE, MAX_WHO, WORK, Action, Via, clean_line, clean_note
from notifier.events.signing import (
    EVENT_PARAMETER,
    ActionClaim,
    verify_action_token,
    verify_event_mark,
)
from notifier.telemetry.logs import log_unforeseen
from notifier.web.http.clients import Clients, comes_from_elsewhere
from notifier.web.http.connections import UNREADABLE
from notifier.web.http.limits import RequestLimit
from notifier.web.public.pages import (
    STYLE_HASH,
    Form,
    View,
    action_page,
    done_page,
    message_page,
    taken_page,
)
from notifier.web.public.words import preferred_language

MAX_BODY_BYTES = 16_384
_BODY_SECONDS = 10.0
_LOOK_WEIGHT = 0.1
"""What looking at a page counts beside sending its form: Postgres is asked for both."""

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "notifier",
}


def public_headers(*, https: bool) -> dict[str, str]:
    """Return the headers of every answer."""
    more = {"Strict-Transport-Security": "max-age=31536000"} if https else {}
    return {**HEADERS, **more}


@dataclass(frozen=True, slots=True)
class PublicDependencies:
    """What the pages work with; what a setting says is asked for each time, for it may change."""

    secrets: Callable[[], Sequence[str]]
    """The keys that may have signed a link."""
    desk: ActionService
    clients: Callable[[], Clients]
    limit: RequestLimit
    titles: Callable[[], Mapping[str, str]]
    zone: Callable[[], ZoneInfo]
    https: Callable[[], bool]
    now: Callable[[], datetime]
    hosts: Callable[[], Collection[str]] = tuple
    """Names by which browsers know the pages, beside the one that they ask."""


class _TooSlowError(Exception):
    """The form did not arrive in time."""


def create_public_app(parts: PublicDependencies) -> web.Application:
    """Serve /a/{token}: GET shows and changes nothing (link scanners follow links), POST acts, once."""
    pages = _ActionPages(parts)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_guarded(parts)])

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        # Of answers that come about without the middleware too, such as to an Expect that is not known.
        response.headers.update(public_headers(https=parts.https()))
        response.force_close()

    app.on_response_prepare.append(add_headers)
    app.add_routes([web.get("/a/{token}", pages.show), web.post("/a/{token}", pages.act)])
    return app


def _guarded(parts: PublicDependencies) -> Middleware:
    @web.middleware
    async def guarded(
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        lang = preferred_language(request.headers.get("Accept-Language", ""))
        response: web.StreamResponse
        try:
            response = await handler(request)
        except web.HTTPRequestEntityTooLarge:
            response = _page(message_page("large", lang), 413)
        except _TooSlowError:
            response = _page(message_page("large", lang), 408)
        except web.HTTPException as exc:
            response = _page(message_page("missing", lang), exc.status)
            if "Allow" in exc.headers:
                response.headers["Allow"] = exc.headers["Allow"]
        except UnreachableError:
            response = _page(message_page("away", lang), 503)
        except Exception as exc:
            log_unforeseen("page_failed", exc)
            response = _page(message_page("failed", lang), 500)
        # One request a connection: nobody holds one open.
        response.force_close()
        return response

    return guarded


class _ActionPages:
    def __init__(self, parts: PublicDependencies) -> None:
        self._parts = parts

    async def show(self, request: web.Request) -> web.Response:
        """Show the notification and the form."""
        claim = self._claim(request)
        if isinstance(claim, web.Response):
            return claim
        wait = self._parts.limit.wait_seconds(f"look {_link(request)}", weight=_LOOK_WEIGHT)
        if wait:
            return _many(request, wait)
        situation = await self._parts.desk.situation(claim.notification_id, claim.event_key)
        view = self._view(request, situation)
        first = situation.first
        if first is None and claim.action == ESCALATE:
            first = situation.escalated_before
        if first is not None:
            return _page(
                taken_page(first, claim.notification_id, situation.facts, view, tried=False)
            )
        if claim.action in WORK and situation.facts is None:
            return _page(message_page("not_now", view.lang), 503)
        form = Form(self._parts.clients().user(request))
        return _page(
            action_page(
                claim.action,
                claim.notification_id,
                situation.facts,
                form,
                view,
                escalated=situation.escalated,
            )
        )

    async def act(self, request: web.Request) -> web.Response:
        """Do the action once."""
        lang = preferred_language(request.headers.get("Accept-Language", ""))
        wait = self._wait(request)
        if wait:
            return _many(request, wait)
        claim = self._claim(request)
        if isinstance(claim, web.Response):
            return claim
        user = self._parts.clients().user(request)
        # Without Sec-Fetch-Site anybody's page may be the null: enough for a name that is typed, not for one that is vouched for.
        null_is_ours = user is None or "Sec-Fetch-Site" in request.headers
        if comes_from_elsewhere(request, self._parts.hosts(), null_is_ours=null_is_ours):
            return _page(message_page("foreign", lang), 403)
        form = await _read_form(request)
        who = user or clean_line(form.get("who", ""), MAX_WHO)
        note = clean_note(form.get("note", ""))
        situation = await self._parts.desk.situation(claim.notification_id, claim.event_key)
        view = self._view(request, situation)
        if not who and situation.first is None:
            entered = Form(user, note, name_missing=True)
            html = action_page(
                claim.action,
                claim.notification_id,
                situation.facts,
                entered,
                view,
                escalated=situation.escalated,
            )
            return _page(html, 422)
        via = Via.SIGN_ON if user else Via.PAGE
        action = Action(claim.notification_id, claim.action, who, note, via, self._parts.now())
        return await self._acted(action, situation, view)

    async def _acted(self, action: Action, situation: Situation, view: View) -> web.Response:
        facts = situation.facts
        match await self._parts.desk.act(action, situation):
            case Accepted(first):
                return _page(done_page(first, action.notification_id, facts, view))
            case AlreadyActed(first):
                html = taken_page(first, action.notification_id, facts, view, tried=True)
                return _page(html, 409)
            case NotNow():
                return _page(message_page("not_now", view.lang), 503)

    def _claim(self, request: web.Request) -> ActionClaim | web.Response:
        lang = preferred_language(request.headers.get("Accept-Language", ""))
        secrets, token = self._parts.secrets(), request.match_info["token"]
        try:
            claim = verify_action_token(secrets, token, now=int(self._parts.now().timestamp()))
            mark = request.query.get(EVENT_PARAMETER)
            if mark is None:
                return claim
            return replace(claim, event_key=verify_event_mark(secrets, token, mark))
        except TokenError as exc:
            message, status = ("expired", 410) if exc.expired else ("invalid", 404)
            return _page(message_page(message, lang), status)

    def _wait(self, request: web.Request) -> int:
        limit = self._parts.limit
        address = self._parts.clients().limited_by(request)
        return limit.wait_seconds(f"address {address}") or limit.wait_seconds(
            f"link {_link(request)}"
        )

    def _view(self, request: web.Request, situation: Situation) -> View:
        if situation.facts is not None:
            lang = situation.facts.lang
        else:
            lang = preferred_language(request.headers.get("Accept-Language", ""))
        return View(lang, self._parts.zone(), self._parts.titles())


async def _read_form(request: web.Request) -> dict[str, str]:
    """Return the text fields of a form; raises _TooSlowError, or HTTPRequestEntityTooLarge."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            posted = await request.post()
    except TimeoutError:
        raise _TooSlowError from None
    except UNREADABLE:
        return {}  # not a form: nothing was entered
    return {name: value for name, value in posted.items() if isinstance(value, str)}


def _link(request: web.Request) -> str:
    return request.match_info["token"][:120]


def _many(request: web.Request, wait: int) -> web.Response:
    lang = preferred_language(request.headers.get("Accept-Language", ""))
    page = _page(message_page("many", lang), 429)
    page.headers["Retry-After"] = str(wait)
    return page


def _page(html: str, status: int = 200) -> web.Response:
    return web.Response(text=html, status=status, content_type="text/html", charset="utf-8")
