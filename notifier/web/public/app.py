"""The public listener: action pages behind signed links, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from aiohttp import web

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
from notifier.web.http.clients import Clients
from notifier.web.http.forms import is_forged, read_form
from notifier.web.http.headers import always_add, html_response, page_headers
from notifier.web.http.limits import RequestLimit
from notifier.web.public.pages import (
    STYLE_HASH,
    View,
    acted_before_page,
    action_page,
    message_page,
    recorded_page,
)
from notifier.web.public.translations import preferred_language

MAX_BODY_BYTES = 16_384
_LOOK_WEIGHT = 0.1
"""A look at a page counts this much beside a form: both ask Postgres."""
_MESSAGES = {403: "foreign", 408: "large", 413: "large", 429: "many"}
"""The message of a page by status; of others `missing`."""

_HEADERS = page_headers(style_src=STYLE_HASH)


def public_headers(*, https: bool) -> dict[str, str]:
    """Return the headers of every answer."""
    more = {"Strict-Transport-Security": "max-age=31536000"} if https else {}
    return {**_HEADERS, **more}


@dataclass(frozen=True, slots=True)
class PublicDependencies:
    """Settings that a reload can change are functions."""

    secrets: Callable[[], Sequence[str]]
    """The keys that may have signed a link."""
    actions: ActionService
    clients: Callable[[], Clients]
    limit: RequestLimit
    titles: Callable[[], Mapping[str, str]]
    zone: Callable[[], ZoneInfo]
    https: Callable[[], bool]
    now: Callable[[], datetime]
    hosts: Callable[[], Collection[str]] = tuple
    """Host names of the pages in browsers, beside the one in the request."""


def create_public_app(dependencies: PublicDependencies) -> web.Application:
    """Serve /a/{token}: GET changes nothing, POST acts once.

    Link scanners follow links.
    """
    pages = _ActionPages(dependencies)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_messages])
    app.on_response_prepare.append(
        always_add(lambda: public_headers(https=dependencies.https()))
    )
    app.add_routes([web.get("/a/{token}", pages.show), web.post("/a/{token}", pages.act)])
    return app


@web.middleware
async def _messages(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every failure with a page in the reader's language."""
    try:
        return await handler(request)
    except web.HTTPException as exc:
        response = _message(request, _MESSAGES.get(exc.status, "missing"), exc.status)
        for name in {"Allow", "Retry-After"} & exc.headers.keys():
            response.headers[name] = exc.headers[name]
        return response
    except TokenError as exc:
        message, status = ("expired", 410) if exc.expired else ("invalid", 404)
        return _message(request, message, status)
    except UnreachableError:
        return _message(request, "away", 503)
    except Exception as exc:
        log_unforeseen("page_failed", exc)
        return _message(request, "failed", 500)


class _ActionPages:
    def __init__(self, dependencies: PublicDependencies) -> None:
        self._dependencies = dependencies

    async def show(self, request: web.Request) -> web.Response:
        """Show the notification and the form."""
        claim = self._claim(request)
        self._limit(f"look {_link(request)}", weight=_LOOK_WEIGHT)
        situation, view = await self._situation(request, claim)
        first = situation.first
        if first is None and claim.action == ESCALATE:
            first = situation.escalated_before
        if first is not None:
            return html_response(acted_before_page(view, first, tried=False))
        if claim.action in WORK and situation.facts is None:
            return html_response(message_page("not_now", view.lang), status=503)
        user, escalated = self._dependencies.clients().user(request), situation.escalated
        page = action_page(view, claim.action, user=user, note=None, escalated=escalated)
        return html_response(page)

    async def act(self, request: web.Request) -> web.Response:
        """Do the action once."""
        clients = self._dependencies.clients()
        self._limit(f"address {clients.limit_key(request)}")
        self._limit(f"link {_link(request)}")
        claim = self._claim(request)
        user = clients.user(request)
        # Without Sec-Fetch-Site, null may be any site's page: enough for a typed name only.
        null_is_ours = user is None or "Sec-Fetch-Site" in request.headers
        if is_forged(request, self._dependencies.hosts(), null_is_ours=null_is_ours):
            raise web.HTTPForbidden
        form = await read_form(request)
        who = user or clean_line(form.get("who", ""), MAX_WHO)
        note = clean_note(form.get("note", ""))
        situation, view = await self._situation(request, claim)
        if not who and situation.first is None:
            escalated = situation.escalated
            page = action_page(view, claim.action, user=user, note=note, escalated=escalated)
            return html_response(page, status=422)
        via = Via.SIGN_ON if user else Via.PAGE
        now = self._dependencies.now()
        action = Action(claim.notification_id, claim.action, who, note, via, now)
        match await self._dependencies.actions.act(action, situation):
            case Accepted(first):
                return html_response(recorded_page(view, first))
            case AlreadyActed(first):
                return html_response(acted_before_page(view, first, tried=True), status=409)
            case NotNow():
                return html_response(message_page("not_now", view.lang), status=503)

    def _claim(self, request: web.Request) -> ActionClaim:
        secrets, token = self._dependencies.secrets(), request.match_info["token"]
        now = int(self._dependencies.now().timestamp())
        claim = verify_action_token(secrets, token, now=now)
        mark = request.query.get(EVENT_PARAMETER)
        if mark is None:
            return claim
        return replace(claim, event_key=verify_event_mark(secrets, token, mark))

    def _limit(self, key: str, *, weight: float = 1.0) -> None:
        wait = self._dependencies.limit.wait_seconds(key, weight=weight)
        if wait:
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(wait)})

    async def _situation(
        self, request: web.Request, claim: ActionClaim
    ) -> tuple[Situation, View]:
        parts = self._dependencies
        found = await parts.actions.situation(claim.notification_id, claim.event_key)
        lang = found.facts.lang if found.facts else _language(request)
        return found, View(
            lang, parts.zone(), parts.titles(), claim.notification_id, found.facts
        )


def _link(request: web.Request) -> str:
    return request.match_info["token"][:120]


def _language(request: web.Request) -> str:
    return preferred_language(request.headers.get("Accept-Language", ""))


def _message(request: web.Request, message: str, status: int) -> web.Response:
    return html_response(message_page(message, _language(request)), status=status)
