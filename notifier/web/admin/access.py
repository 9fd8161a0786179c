"""Who may open the console: whoever is on this machine, whoever has the token, or whom a proxy vouches for."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import SecretStr

from notifier.web.admin import login as admin_login
from notifier.web.http.clients import Clients, comes_from_elsewhere
from notifier.web.http.connections import SAFE_HEADERS, UNREADABLE
from notifier.web.http.limits import RequestLimit

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Open to whoever reaches the listener: they show neither data nor secrets. Everything else is guarded."""
HOME = "/"
"""Leads to the console; open like the probes, for a session's cookie is of the console alone."""
CONSOLE = "/console"
LOGIN = f"{CONSOLE}/login"
LOGOUT = f"{CONSOLE}/logout"

COOKIE = "notifier_console"
SESSION_SECONDS = 12 * 3600
_MAX_FORM_BYTES = 4096
_FORM_SECONDS = 10.0
_HEADERS = {
    "Content-Security-Policy": SAFE_HEADERS["Content-Security-Policy"],
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Server": "notifier",
}
_SAFE_METHODS = ("GET", "HEAD")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks."""

    name: str | None
    """As a proxy vouches for it; None: it has to be typed."""


OPERATOR = web.RequestKey("operator", Operator)
"""Set for every guarded request that is let through."""


@dataclass(frozen=True, slots=True)
class AdminAccess:
    """What decides; what a reload can change is asked for each time."""

    bind: str
    token: Callable[[], SecretStr | None]
    clients: Clients
    proxied: bool
    """Whether a trusted proxy may name the operator."""
    allowed_hosts: Sequence[str]
    limit: RequestLimit
    """Bounds the guessing of tokens."""
    now: Callable[[], float]
    """Unix seconds."""

    @property
    def local(self) -> bool:
        """Tell whether the listener is reached from this machine only."""
        host = self.bind.rpartition(":")[0].strip("[]").lower()
        return host == "localhost" or _is_loopback(host)

    @property
    def closed(self) -> bool:
        """Tell whether nobody may open the console: it is open to the network and nothing protects it."""
        return not (self.local or self.proxied or self.token())


def guard(access: AdminAccess) -> Middleware:
    """Return what lets only operators to the console, keeps other sites' pages out, and keeps nothing in caches."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        probe = request.path in PROBES
        response: web.StreamResponse
        try:
            if (access.local or not probe) and not _host_is_ours(request, access.allowed_hosts):
                # A page elsewhere may lead its own name to this address (DNS rebinding); the Host header gives it away.
                response = _refused(
                    421, "unknown host name; if it is right, add it to admin.allowed_hosts"
                )
            elif probe or (request.path == HOME and request.method in _SAFE_METHODS):
                response = await handler(request)
            else:
                response = await _console(access, request, handler)
        except web.HTTPException as exc:
            add_headers(exc)
            raise
        add_headers(response)
        return response

    return guarded


def add_login(app: web.Application, access: AdminAccess) -> None:
    """Serve the page where the token is typed, and the way out."""
    pages = _LoginPages(access)
    app.add_routes(
        [
            web.get(LOGIN, pages.show),
            web.post(LOGIN, pages.log_in),
            web.post(LOGOUT, pages.log_out),
        ]
    )


async def _console(
    access: AdminAccess, request: web.Request, handler: Handler
) -> web.StreamResponse:
    if access.closed:
        return _refused(
            403,
            "admin.bind is open to the network and nothing protects the console: set the secret TEAMS_ADMIN_TOKEN "
            "(make one with: notifier keys new), or admin.user_header behind a single-sign-on proxy",
        )
    if request.method not in _SAFE_METHODS and comes_from_elsewhere(
        request, access.allowed_hosts
    ):
        return _refused(403, "this form was sent by another site's page")
    if request.path in (LOGIN, LOGOUT):
        return await handler(request)
    operator = _operator(access, request)
    if isinstance(operator, int):
        refused = _refused(429, "too many wrong tokens; wait and try again")
        refused.headers["Retry-After"] = str(operator)
        return refused
    if operator is None:
        return _ask_to_log_in(request)
    request[OPERATOR] = operator
    return await handler(request)


def add_headers(response: web.StreamResponse) -> None:
    """Add what every answer of the listener has."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # One request a connection: nobody holds one open.
    response.force_close()


def _operator(access: AdminAccess, request: web.Request) -> Operator | int | None:
    """Return who asks, None if that is not known, or after how many seconds the next token may be tried."""
    name = access.clients.user(request)
    if name is not None:
        return Operator(name)
    token = access.token()
    if token is None:
        return Operator(None) if access.local and not access.proxied else None
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        address = access.clients.limited_by(request)
        wait = access.limit.must_wait(address)
        if wait:
            return wait
        if _same(given.strip(), token.get_secret_value()):
            return Operator(None)
        access.limit.wait_seconds(address)
    if _session_is_good(request.cookies.get(COOKIE, ""), token, access.now()):
        return Operator(None)
    return None


def _ask_to_log_in(request: web.Request) -> web.StreamResponse:
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        return web.Response(
            status=303, headers={"Location": f"{LOGIN}?next={quote(request.path_qs, safe='/')}"}
        )
    refused = _refused(401, "send the admin token as Authorization: Bearer, or log in")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


class _LoginPages:
    def __init__(self, access: AdminAccess) -> None:
        self._access = access

    async def show(self, request: web.Request) -> web.Response:
        return self._page(request, 200)

    async def log_in(self, request: web.Request) -> web.Response:
        wait = self._access.limit.wait_seconds(self._access.clients.limited_by(request))
        if wait:
            page = self._page(request, 429, "Too many attempts: wait a minute.")
            page.headers["Retry-After"] = str(wait)
            return page
        given, token = await _typed_token(request), self._access.token()
        if token is None or not _same(given, token.get_secret_value()):
            return self._page(request, 401, "The token is not right.")
        response = web.Response(status=303, headers={"Location": _way_back(request)})
        response.set_cookie(
            COOKIE,
            _session(token, int(self._access.now()) + SESSION_SECONDS),
            max_age=SESSION_SECONDS,
            path=CONSOLE,
            httponly=True,
            # Lax: a link to the console from elsewhere arrives logged in; forms from elsewhere are refused anyway.
            samesite="Lax",
            secure=request.headers.get("X-Forwarded-Proto", "") == "https",
        )
        return response

    async def log_out(self, _: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": LOGIN})
        response.del_cookie(COOKIE, path=CONSOLE)
        return response

    def _page(self, request: web.Request, status: int, problem: str = "") -> web.Response:
        return web.Response(
            text=admin_login.page(f"{LOGIN}?next={quote(_way_back(request))}", problem),
            status=status,
            content_type="text/html",
            headers={"Content-Security-Policy": admin_login.POLICY},
        )


async def _typed_token(request: web.Request) -> str:
    """Return what was typed; empty for what is no form, is too large or too slow."""
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            given = (await request.clone(client_max_size=_MAX_FORM_BYTES).post()).get("token")
    except (*UNREADABLE, TimeoutError, web.HTTPRequestEntityTooLarge):
        return ""
    return given.strip() if isinstance(given, str) else ""


def _session(token: SecretStr, expires_at: int) -> str:
    key = token.get_secret_value().encode()
    mac = hmac.new(key, f"console session {expires_at}".encode(), "sha256").hexdigest()
    return f"{expires_at}.{mac}"


def _session_is_good(cookie: str, token: SecretStr, now: float) -> bool:
    expires, _, _ = cookie.partition(".")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
        return False
    return _same(cookie, _session(token, int(expires))) and now < int(expires)


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())


def _way_back(request: web.Request) -> str:
    """Return where to go after logging in: a page of the console, never another site."""
    path = request.query.get("next", "")
    parts = urlsplit(path)
    ours = not parts.scheme and not parts.netloc and _is_console(parts.path)
    return (
        path if ours and path.isascii() and path.isprintable() and "\\" not in path else CONSOLE
    )


def _is_console(path: str) -> bool:
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def _host_is_ours(request: web.Request, allowed: Sequence[str]) -> bool:
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return host == "localhost" or host in allowed or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=f"{why}\n")
