"""Action pages: a signed link from a card opens a page; only its form acts, and only once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from aiohttp import web

from notifier.errors import TokenError, UnreachableError
from notifier.signing import ActionClaim, verify_action_token
from notifier.store.actions import NotificationFacts
from notifier.web.pages import action_page, message_page

_MAX_BODY_BYTES = 16_384
_MAX_WHO = 100
_MAX_NOTE = 1_000

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

RequestWork = Callable[[ActionClaim, NotificationFacts, str, str], Awaitable[None]]
"""Publish a request to the claims workers: claim, facts, who, note."""


class ActionStore(Protocol):
    """What the pages need of Postgres; both raise StoreError when it is away."""

    async def facts(self, notification_id: str) -> NotificationFacts | None:
        """Return what the page shows, None when nothing is recorded."""

    async def take(self, notification_id: str, *, who: str, action: str, note: str) -> bool:
        """Record the action; False when somebody was first."""


def create_public_app(
    *,
    secrets: Sequence[str],
    actions: ActionStore,
    request_work: RequestWork,
    now: Callable[[], datetime],
) -> web.Application:
    """Serve /a/{token} and nothing else: GET shows and changes nothing (link scanners follow links), POST acts."""
    pages = _ActionPages(secrets, actions, request_work, now)
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.add_routes([web.get("/a/{token}", pages.show), web.post("/a/{token}", pages.act)])
    return app


class _ActionPages:
    def __init__(
        self,
        secrets: Sequence[str],
        actions: ActionStore,
        request_work: RequestWork,
        now: Callable[[], datetime],
    ) -> None:
        self._secrets = secrets
        self._actions = actions
        self._request_work = request_work
        self._now = now

    async def show(self, request: web.Request) -> web.Response:
        """Show the notification and the form."""
        return await self._answer(request, self._shown)

    async def act(self, request: web.Request) -> web.Response:
        """Do the action once."""
        return await self._answer(request, self._acted)

    async def _answer(
        self,
        request: web.Request,
        work: Callable[[web.Request, ActionClaim, NotificationFacts], Awaitable[web.Response]],
    ) -> web.Response:
        try:
            claim = verify_action_token(
                self._secrets, request.match_info["token"], now=int(self._now().timestamp())
            )
            facts = await self._actions.facts(claim.notification_id)
            if facts is None:
                return _page(message_page("not_yet", "en"), 503)
            return await work(request, claim, facts)
        except TokenError as exc:
            return _page(
                message_page("expired" if exc.expired else "invalid", "en"),
                410 if exc.expired else 400,
            )
        except UnreachableError:
            return _page(message_page("away", "en"), 503)

    async def _shown(
        self, _: web.Request, claim: ActionClaim, facts: NotificationFacts
    ) -> web.Response:
        if facts.acknowledged_at is not None:
            return _page(message_page("taken", facts.lang, facts), 200)
        return _page(action_page(claim.action, facts, fault=""), 200)

    async def _acted(
        self, request: web.Request, claim: ActionClaim, facts: NotificationFacts
    ) -> web.Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return _page(message_page("invalid", facts.lang), 403)
        form = await request.post()
        who = " ".join(str(form.get("who", "")).split())[:_MAX_WHO]
        note = str(form.get("note", "")).replace("\x00", "").strip()[:_MAX_NOTE]
        if not who.replace("\x00", ""):
            return _page(action_page(claim.action, facts, fault="who"), 422)
        first = await self._actions.take(
            claim.notification_id, who=who.replace("\x00", ""), action=claim.action, note=note
        )
        latest = await self._actions.facts(claim.notification_id)
        if not first:
            return _page(message_page("taken", facts.lang, latest), 409)
        if claim.action not in ("acknowledge", "escalate"):
            await self._request_work(claim, facts, who, note)
        return _page(message_page("done", facts.lang, latest), 200)


def _page(html: str, status: int) -> web.Response:
    return web.Response(
        text=html, status=status, content_type="text/html", charset="utf-8", headers=HEADERS
    )
