"""Pages about notifications: the latest ones, one of them, and its card."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from aiohttp import web
from pydantic import JsonValue

from notifier.cards.html import script_texts
from notifier.cards.html.pages import (
    content_policy,
    json_data,
    own_file,
    own_text,
    page_templates,
    source_hash,
)
from notifier.cards.redact_links import without_links
from notifier.ops.trace.search import uuid_of
from notifier.store.rows import NotificationRow
from notifier.web.console.pages import ConsoleDependencies, Pages, Unavailable, read_from
from notifier.web.console.queries import (
    NOTIFICATION_FIELDS,
    PERIODS,
    NotificationQuery,
    QueryError,
    shown_of,
)
from notifier.web.http.headers import SAFE_HEADERS, html_response

PER_PAGE = 50

T = TypeVar("T")


class NotificationPages:
    """GET /console/notifications and below."""

    def __init__(self, dependencies: ConsoleDependencies, pages: Pages) -> None:
        self._dependencies = dependencies
        self._pages = pages
        self._cards = CardPage()

    async def list(self, request: web.Request) -> web.Response:
        """List notifications, newest first."""
        config = self._dependencies.config()
        shown = shown_of(request.query, NOTIFICATION_FIELDS)
        found: Sequence[NotificationRow] | Unavailable = []
        period, problem, following = "day", "", ""
        try:
            query = NotificationQuery.read(request.query, self._dependencies.now())
        except QueryError as exc:
            problem = str(exc)
        else:
            period = query.period
            reading = self._dependencies.store.notifications(query.wanted, limit=PER_PAGE + 1)
            found = await read_from("Postgres", reading)
        if not isinstance(found, Unavailable) and len(found) > PER_PAGE:
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
        found = await _read(request, self._dependencies.store.notification)
        if isinstance(found, Unavailable):
            return self._pages.unavailable(request, "Notification", found)
        if found is None:
            return self._pages.message(
                request,
                "Notification not found",
                "It may be waiting for its delivery or its record, it may be pruned, or its id may be cut off. Try Search.",
                status=404,
            )
        return self._pages.page(request, "notification.html", whole=found)

    async def card(self, request: web.Request) -> web.Response:
        """Return the card for its frame, which can do nothing else."""
        found = await _read(request, self._dependencies.store.card)
        if isinstance(found, Unavailable):
            return self._cards.page(503, text="The card cannot be read now.")
        if found is None:
            return self._cards.page(404, text="The card was not kept.")
        return self._cards.page(200, card=without_links(found.card), lang=found.lang)


async def _read(
    request: web.Request, read: Callable[[str], Awaitable[T | None]]
) -> T | Unavailable | None:
    """Read by the id in the address; None if it is malformed or unknown."""
    notification_id = uuid_of(request.match_info["id"])
    if notification_id is None:
        return None
    return await read_from("Postgres", read(notification_id))


class CardPage:
    """The page of a card as Teams shows it, without links and network."""

    def __init__(self) -> None:
        scripts = [*map(own_text, script_texts()), own_file(__package__, "card.js")]
        self._template = page_templates(__package__).get_template("card.html")
        self._values = {"scripts": scripts, "style": own_file(__package__, "card.css")}
        self._headers = {
            **SAFE_HEADERS,
            "Content-Security-Policy": content_policy(
                script_src=" ".join(map(source_hash, scripts)),
                # The renderer sets style attributes.
                style_src="'unsafe-inline'",
                img_src="data:",
                frame_ancestors="'self'",
                sandbox="allow-scripts",
            ),
            "X-Frame-Options": "SAMEORIGIN",
            "X-Robots-Tag": "noindex, nofollow",
        }

    def page(
        self, status: int, *, text: str = "", card: JsonValue = None, lang: str = "en"
    ) -> web.Response:
        """Return the page of a card without links, or of a text in its place."""
        if isinstance(card, dict):
            # Shown by browsers without scripts; the rendered card replaces it.
            text = str(card.get("fallbackText") or "The card is rendered with JavaScript.")
        html = self._template.render(
            self._values, text=text, lang=lang, source=None if card is None else json_data(card)
        )
        return html_response(html, status=status, headers=self._headers)
