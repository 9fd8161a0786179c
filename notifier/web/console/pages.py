"""Turn a template into an answer: every value is escaped, and the policy lets in nothing but what is ours."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from notifier.cards.redact_links import without_links
from notifier.events.json_out import to_indented_json
from notifier.telemetry.durations import duration
from notifier.web.admin.access import CONSOLE, OPERATOR
from notifier.web.console import labels as words
from notifier.web.console.parts import Away, ConsoleDependencies

_FOLDER = Path(__file__).parent


def read_static(name: str) -> str:
    """Return a file of the console's static folder."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """Return how a Content-Security-Policy names this script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE = read_static("console.css")
_FRAME_SCRIPT = read_static("frame.js")
_POLICY = (
    f"default-src 'none'; style-src {source_hash(_STYLE)}; script-src {source_hash(_FRAME_SCRIPT)}; img-src data:; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def operator_of(request: web.Request) -> str | None:
    """Return the name that a trusted proxy vouches for; None: it has to be typed."""
    operator = request.get(OPERATOR)
    return None if operator is None else operator.name


class Pages:
    """Draws the pages."""

    def __init__(self, parts: ConsoleDependencies) -> None:
        self._parts = parts
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.tests["away"] = lambda value: isinstance(value, Away)
        self._templates.filters |= {
            "duration": duration,
            "moment": _moment,
            "pretty": to_indented_json,
            "reason": words.reason_words,
            "unlinked": without_links,
        }
        self._templates.globals |= {
            "style": Markup(_STYLE),  # noqa: S704 # nosec B704 - our own file
            "frame_script": Markup(_FRAME_SCRIPT),  # noqa: S704 # nosec B704 - our own file
            "root": CONSOLE,
            "words": words,
        }

    def page(
        self, request: web.Request, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        """Return a page; what it is about stands in `values`."""
        now = self._parts.now()
        titles = {
            name: channel.title for name, channel in self._parts.config().channels.items()
        }
        html = self._templates.get_template(template).render(
            values,
            instance=self._parts.instance,
            operator=operator_of(request),
            has_login=self._parts.has_login(),
            here=request.path,
            title_of=lambda channel: titles.get(channel, channel),
            since=lambda moment: duration((now - moment).total_seconds()),
            now=now,
        )
        return web.Response(
            text=html,
            content_type="text/html",
            charset="utf-8",
            status=status,
            headers=_HEADERS,
        )

    def message(
        self, request: web.Request, title: str, text: str, *, status: int
    ) -> web.Response:
        """Return a page that says one thing and what to do."""
        return self.page(request, "message.html", status=status, title=title, text=text)


def _moment(moment: datetime) -> Markup:
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}"
    )
