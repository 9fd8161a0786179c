"""Pages about notifications: the latest ones, one of them, its card as rendered, and the critical ones that nobody answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from aiohttp import web

from notifier.escalation.policy import Matrix
from notifier.web.console.cardframe import CardFrame
from notifier.web.console.pages import Pages
from notifier.web.console.parts import Away, ConsoleDependencies, known
from notifier.web.console.queries import (
    NOTIFICATION_FIELDS,
    PERIODS,
    NotificationQuery,
    QueryError,
    shown_of,
)
from notifier.web.console.repository import Recorded
from notifier.web.console.views import critical_views

PER_PAGE = 50


class NotificationPages:
    """GET /console/notifications and below, and /console/critical."""

    def __init__(self, parts: ConsoleDependencies, pages: Pages) -> None:
        self._parts = parts
        self._pages = pages
        self._frame = CardFrame()

    async def list(self, request: web.Request) -> web.Response:
        """List notifications, newest first."""
        try:
            asked = NotificationQuery.read(request.query, self._parts.now())
        except QueryError as exc:
            shown = shown_of(request.query, NOTIFICATION_FIELDS)
            return self._listed(request, [], shown, "day", str(exc))
        found = await known(
            "Postgres", self._parts.store.notifications(asked.wanted, limit=PER_PAGE + 1)
        )
        return self._listed(request, found, asked.shown, asked.period)

    def _listed(
        self,
        request: web.Request,
        found: Sequence[Recorded] | Away,
        shown: Mapping[str, str],
        period: str,
        problem: str = "",
    ) -> web.Response:
        config = self._parts.config()
        following = ""
        if not isinstance(found, Away) and len(found) > PER_PAGE:
            found = found[:PER_PAGE]
            before = f"{found[-1].sent_at.isoformat()} {found[-1].id}"
            following = urlencode({**shown, "before": before})
        return self._pages.page(
            request,
            "notifications.html",
            status=422 if problem else 200,
            found=found,
            shown=shown,
            period=period,
            periods=PERIODS,
            problem=problem,
            following=following,
            first_page="before" not in request.query,
            channels=config.channels,
            event_types=sorted(config.routes),
        )

    async def show(self, request: web.Request) -> web.Response:
        """Show one notification."""
        notification_id = _uuid(request.match_info["id"])
        if notification_id is None:
            return self._missing(request)
        found = await known("Postgres", self._parts.store.notification(notification_id))
        if isinstance(found, Away):
            return self._pages.page(
                request, "away.html", status=503, away=found, title="Notification"
            )
        if found is None:
            return self._missing(request)
        return self._pages.page(request, "notification.html", whole=found)

    def _missing(self, request: web.Request) -> web.Response:
        return self._pages.message(
            request,
            "There is no such notification",
            "It may wait to be delivered or recorded, be pruned already, or its id may be cut off. Look for it under Search.",
            status=404,
        )

    async def card(self, request: web.Request) -> web.Response:
        """Return the card as rendered, for a frame that can do nothing else."""
        notification_id = _uuid(request.match_info["id"])
        found = (
            None
            if notification_id is None
            else await known("Postgres", self._parts.store.card(notification_id))
        )
        if isinstance(found, Away):
            return self._frame.note("The card cannot be read now.", status=503)
        if found is None:
            return self._frame.note("The card was not kept.", status=404)
        return self._frame.render(*found)

    async def critical(self, request: web.Request) -> web.Response:
        """List the critical events that somebody has yet to acknowledge."""
        config = self._parts.config()
        found = await known("Postgres", self._parts.store.unacknowledged())
        waiting, taken = (
            ([], [])
            if isinstance(found, Away)
            else critical_views(
                found, Matrix.of(config.escalation, config.business_hours), self._parts.now()
            )
        )
        return self._pages.page(
            request, "critical.html", found=found, waiting=waiting, taken=taken
        )


def _uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
