"""The headers of answers, and answers with a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from notifier.cards.html.pages import content_policy

SAFE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": content_policy(frame_ancestors="'none'"),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "notifier",
}
"""Of an answer that holds nothing but its status."""

ADMIN_HEADERS: Mapping[str, str] = {**SAFE_HEADERS, "Referrer-Policy": "same-origin"}
"""Of the admin listener; browsers send Origin as null when a page gives no referrer."""


def page_headers(base: Mapping[str, str] = SAFE_HEADERS, **allowed: str) -> dict[str, str]:
    """Return the headers of a page with a form.

    Args:
        base: The headers of the listener.
        allowed: The only sources, by directive, such as style_src.
    """
    sources = {"form_action": "'self'", "frame_ancestors": "'none'"} | allowed
    return {
        **base,
        "Content-Security-Policy": content_policy(**sources),
        "X-Robots-Tag": "noindex, nofollow",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def always_add(
    headers: Callable[[], Mapping[str, str]],
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return a signal that adds headers to answers, and closes connections.

    Answers without a handler have them too. A header that a page has set stays.
    """

    async def prepare(_: web.Request, response: web.StreamResponse) -> None:
        for name, value in headers().items():
            response.headers.setdefault(name, value)
        # aiohttp would name itself.
        response.headers["Server"] = SAFE_HEADERS["Server"]
        # One request a connection: nobody holds one open.
        response.headers["Connection"] = "close"
        response.force_close()

    return prepare


def html_response(
    html: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer with a page."""
    return web.Response(
        text=html, status=status, content_type="text/html", charset="utf-8", headers=headers
    )
