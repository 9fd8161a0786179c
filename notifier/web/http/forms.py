"""Forms: who sent them, and reading them with bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

_FORM_SECONDS = 10.0
"""How long a form may take to arrive."""

UNREADABLE = (ValueError, LookupError, OSError, web.RequestPayloadError, HttpProcessingError)
"""Raised by reading a body that is not in the announced format, or does not arrive."""


def is_forged(
    request: web.Request, hosts: Collection[str], *, null_is_ours: bool = False
) -> bool:
    """Tell whether a form may come from another site's page.

    Browsers say so in Sec-Fetch-Site, or in Origin alone: Safari before 16.4, and all
    browsers without https. A form with neither header counts as forged.

    Args:
        request: The form.
        hosts: Our host names, beside the one in the request.
        null_is_ours: Our page gives no referrer, so browsers send its Origin as null.
    """
    site, origin = (request.headers.get(name) for name in ("Sec-Fetch-Site", "Origin"))
    if site not in (None, "same-origin", "none"):
        return True
    if origin is None:
        return site is None
    if origin == "null" and null_is_ours:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    return parts.netloc.lower() != request.host.lower() and parts.hostname not in hosts


async def read_form(request: web.Request, *, max_bytes: int | None = None) -> MultiDict[str]:
    """Return the text fields of a form; none of a body that is not a form.

    Args:
        request: The form.
        max_bytes: Bound of the body, instead of that of the application.

    Raises:
        HTTPRequestTimeout: It did not arrive in time.
        HTTPRequestEntityTooLarge: It is larger than allowed.
    """
    if max_bytes is not None:
        request = request.clone(client_max_size=max_bytes)
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            posted = await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except UNREADABLE:
        return MultiDict()
    return MultiDict((name, text) for name, text in posted.items() if isinstance(text, str))
