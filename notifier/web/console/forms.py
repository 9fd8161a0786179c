"""Forms that act: made by us for this browser, and sent from our page."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from dataclasses import dataclass

from aiohttp import web
from multidict import MultiDict

from notifier.web.admin.access import CONSOLE
from notifier.web.console.pages import operator_of
from notifier.web.http.connections import UNREADABLE

COOKIE = "notifier_form"
_BODY_SECONDS = 10.0


class ForgedFormError(Exception):
    """The form is not one that was made for this browser, or it is out of date."""


@dataclass(frozen=True, slots=True)
class FormSeal:
    """Binds a form to the browser and the operator that it was made for; a restart makes open forms out of date."""

    key: bytes

    @classmethod
    def fresh(cls) -> FormSeal:
        """Return one with a key that nobody knows."""
        return cls(secrets.token_bytes(32))

    def browser_of(self, request: web.Request) -> str:
        """Return the browser's mark, or a new one for `keep`."""
        mark = request.cookies.get(COOKIE, "")
        return mark if len(mark) == 43 and mark.isascii() else secrets.token_urlsafe(32)

    def keep(self, request: web.Request, response: web.Response, browser: str) -> None:
        """Let the browser keep its mark."""
        response.set_cookie(
            COOKIE,
            browser,
            path=CONSOLE,
            httponly=True,
            samesite="Strict",
            secure=request.headers.get("X-Forwarded-Proto", "") == "https",
        )

    def seal(self, request: web.Request, browser: str) -> str:
        """Return what the form has to carry."""
        text = f"{browser}\x00{operator_of(request) or ''}"
        return hmac.digest(self.key, text.encode(), "sha256").hex()

    async def read(self, request: web.Request) -> MultiDict[str]:
        """Return the texts of a form.

        Raises:
            ForgedFormError: It was not made for this browser, or did not arrive in time.
        """
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                posted = await request.post()
        except (*UNREADABLE, TimeoutError):
            raise ForgedFormError from None
        form: MultiDict[str] = MultiDict(
            (name, value) for name, value in posted.items() if isinstance(value, str)
        )
        right = self.seal(request, request.cookies.get(COOKIE, ""))
        given = form.get("seal", "")
        if COOKIE not in request.cookies or not hmac.compare_digest(
            given.encode(errors="replace"), right.encode()
        ):
            raise ForgedFormError
        return form
