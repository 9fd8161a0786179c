"""The pages of the console: their dependencies, templates and headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from aiohttp import web
from markupsafe import Markup

from notifier.broker.streams import Streams
from notifier.cards.html.pages import own_file, page_templates, source_hash
from notifier.cards.redact_links import without_links
from notifier.config import Config
from notifier.errors import NotifierError
from notifier.events.json import to_indented_json
from notifier.events.masking import Masking
from notifier.events.routing import Catalogue
from notifier.ops.trace.search import TraceSearch
from notifier.telemetry.clock import duration
from notifier.telemetry.health import Readiness
from notifier.web.admin.access import CONSOLE, OPERATOR
from notifier.web.console import labels
from notifier.web.console.repository import ConsoleRepository
from notifier.web.http.headers import ADMIN_HEADERS, html_response, page_headers

_SERVER_SECONDS = 4.0
_STYLE = own_file(__package__, "console.css")
_FRAME_SCRIPT = own_file(__package__, "frame.js")
_HEADERS = page_headers(
    ADMIN_HEADERS,
    style_src=source_hash(_STYLE),
    script_src=source_hash(_FRAME_SCRIPT),
    img_src="data:",
    frame_src="'self'",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConsoleDependencies:
    """Settings that a reload can change are functions."""

    instance: str
    readiness: Callable[[], Awaitable[Readiness]]
    streams: Streams
    store: ConsoleRepository
    finder: TraceSearch
    config: Callable[[], Config]
    masking: Callable[[], Masking]
    catalogue: Callable[[], Catalogue]
    has_login: Callable[[], bool]
    """Whether operators can log out."""
    now: Callable[[], datetime]
    clock: Callable[[], float]
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Replaces data whose server does not answer."""

    server: str
    why: str


async def read_from(server: str, reading: Awaitable[T]) -> T | Unavailable:
    """Return the result, or that its server is unavailable."""
    try:
        async with asyncio.timeout(_SERVER_SECONDS):
            return await reading
    except TimeoutError:
        why = f"{server} did not answer within {_SERVER_SECONDS:g} seconds."
        return Unavailable(server, why)
    except NotifierError as exc:
        return Unavailable(server, str(exc))


class Pages:
    """Renders the templates of the console."""

    def __init__(self, dependencies: ConsoleDependencies) -> None:
        self._dependencies = dependencies
        self._templates = page_templates(__package__)
        self._templates.tests["unavailable"] = lambda value: isinstance(value, Unavailable)
        self._templates.filters |= {
            "duration": duration,
            "moment": _moment,
            "pretty": to_indented_json,
            "reason": labels.reason_label,
            "unlinked": without_links,
        }
        self._templates.globals |= {
            "style": _STYLE,
            "frame_script": _FRAME_SCRIPT,
            "root": CONSOLE,
            "labels": labels,
        }

    def page(
        self, request: web.Request, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        """Return a page; `values` are the names in its template."""
        now = self._dependencies.now()
        channels = self._dependencies.config().channels
        titles = {name: channel.title for name, channel in channels.items()}
        html = self._templates.get_template(template).render(
            values,
            instance=self._dependencies.instance,
            operator=request[OPERATOR],
            has_login=self._dependencies.has_login(),
            here=request.path,
            title_of=lambda channel: titles.get(channel, channel),
            since=lambda moment: duration((now - moment).total_seconds()),
            now=now,
        )
        return html_response(html, status=status, headers=_HEADERS)

    def message(
        self, request: web.Request, title: str, text: str, *, status: int
    ) -> web.Response:
        """Return a page with one message and what to do."""
        return self.page(request, "message.html", status=status, title=title, text=text)

    def unavailable(
        self, request: web.Request, title: str, problem: Unavailable
    ) -> web.Response:
        """Return the page of something whose server does not answer."""
        return self.page(request, "unavailable.html", status=503, title=title, problem=problem)


def _moment(moment: datetime) -> Markup:
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}"
    )
