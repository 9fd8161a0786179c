"""Decide who may open the console: by machine, token or proxy."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import SecretStr

from notifier.cards.html.pages import own_file, page_templates, source_hash
from notifier.web.http.clients import Clients
from notifier.web.http.forms import is_forged, read_form
from notifier.web.http.headers import ADMIN_HEADERS, html_response, page_headers
from notifier.web.http.limits import RequestLimit

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Open to everyone who reaches the listener: they show neither data nor secrets."""
HOME = "/"
"""Leads to the console; open like the probes, because the session cookie covers the console alone."""
CONSOLE = "/console"
LOGIN = f"{CONSOLE}/login"
LOGOUT = f"{CONSOLE}/logout"

COOKIE = "notifier_console"
SESSION_SECONDS = 12 * 3600
_MAX_FORM_BYTES = 4096
_SAFE_METHODS = ("GET", "HEAD")
_STYLE = own_file("notifier.web.public", "action.css")
_TEMPLATES = page_templates("notifier.web.admin", "notifier.web.public")
_PAGE_HEADERS = page_headers(ADMIN_HEADERS, style_src=source_hash(_STYLE))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


OPERATOR = web.RequestKey("operator", str)
"""The operator's name from a proxy; empty if it must be typed, and for login and logout. Set for every guarded page."""


@dataclass(frozen=True, slots=True)
class AdminAccess:
    """The rules of access; settings that a reload can change are functions."""

    bind: str
    token: Callable[[], SecretStr | None]
    clients: Clients
    proxied: bool
    """A trusted proxy may name the operator."""
    allowed_hosts: Sequence[str]
    limit: RequestLimit
    """Bounds the guessing of tokens."""
    now: Callable[[], float]
    """Unix seconds."""

    @property
    def local(self) -> bool:
        """Tell whether the listener is reached from this machine only."""
        host = self.bind.rpartition(":")[0].strip("[]").lower()
        address = _address(host)
        return host == "localhost" or (address is not None and address.is_loopback)

    @property
    def closed(self) -> bool:
        """Tell whether nothing protects the console from the network."""
        return not (self.local or self.proxied or self.token())


def guard(access: AdminAccess) -> Middleware:
    """Return the middleware that lets only operators use the console."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        probe = request.path in PROBES
        if (access.local or not probe) and not _host_is_ours(request, access.allowed_hosts):
            # A foreign page may point its own name here (DNS rebinding); the Host header shows it.
            raise web.HTTPMisdirectedRequest(
                text="unknown host name; if it is right, add it to admin.allowed_hosts\n"
            )
        if not probe and not (request.path == HOME and request.method in _SAFE_METHODS):
            _refuse(access, request)
            anonymous = request.path in (LOGIN, LOGOUT)
            request[OPERATOR] = "" if anonymous else _operator(access, request)
        return await handler(request)

    return guarded


def add_login(app: web.Application, access: AdminAccess) -> None:
    """Serve the login page and the logout."""
    pages = _LoginPages(access)
    app.add_routes(
        [
            web.get(LOGIN, pages.show),
            web.post(LOGIN, pages.log_in),
            web.post(LOGOUT, pages.log_out),
        ]
    )


def _refuse(access: AdminAccess, request: web.Request) -> None:
    if access.closed:
        raise web.HTTPForbidden(
            text="the console is closed: admin.bind is open to the network without protection; set the secret "
            "TEAMS_ADMIN_TOKEN (make one with: notifier keys new), or admin.user_header behind a single-sign-on proxy\n"
        )
    if request.method not in _SAFE_METHODS and is_forged(request, access.allowed_hosts):
        raise web.HTTPForbidden(
            text="this form may come from another site: it has neither Sec-Fetch-Site nor an Origin of this site; "
            "use a page of the console\n"
        )


def _operator(access: AdminAccess, request: web.Request) -> str:
    """Return the operator's name or an empty one; raise for anyone else."""
    name = access.clients.user(request)
    if name is not None:
        return name
    token = access.token()
    if token is None and access.local and not access.proxied:
        return ""
    if token is not None and (
        _has_bearer(access, request, token)
        or _session_is_good(request.cookies.get(COOKIE, ""), token, access.now())
    ):
        return ""
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        raise web.HTTPSeeOther(f"{LOGIN}?next={quote(request.path_qs, safe='/')}")
    raise web.HTTPUnauthorized(
        text="send the admin token as Authorization: Bearer, or log in\n",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _has_bearer(access: AdminAccess, request: web.Request, token: SecretStr) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    address = access.clients.limit_key(request)
    wait = access.limit.must_wait(address)
    if wait:
        raise web.HTTPTooManyRequests(
            text="too many wrong tokens; wait and try again\n",
            headers={"Retry-After": str(wait)},
        )
    if _same(given.strip(), token.get_secret_value()):
        return True
    access.limit.wait_seconds(address)
    return False


class _LoginPages:
    def __init__(self, access: AdminAccess) -> None:
        self._access = access

    async def show(self, request: web.Request) -> web.Response:
        return self._page(request, 200)

    async def log_in(self, request: web.Request) -> web.Response:
        wait = self._access.limit.wait_seconds(self._access.clients.limit_key(request))
        if wait:
            page = self._page(request, 429, "Too many attempts: wait a minute.")
            page.headers["Retry-After"] = str(wait)
            return page
        given, token = "", self._access.token()
        with suppress(web.HTTPException):
            form = await read_form(request, max_bytes=_MAX_FORM_BYTES)
            given = form.get("token", "").strip()
        if token is None or not _same(given, token.get_secret_value()):
            return self._page(request, 401, "The token is wrong.")
        response = web.Response(status=303, headers={"Location": _way_back(request)})
        response.set_cookie(
            COOKIE,
            _session(token, int(self._access.now()) + SESSION_SECONDS),
            max_age=SESSION_SECONDS,
            path=CONSOLE,
            httponly=True,
            # Lax: a link to the console arrives logged in; forms of other sites are refused anyway.
            samesite="Lax",
            secure=request.headers.get("X-Forwarded-Proto", "") == "https",
        )
        return response

    async def log_out(self, _: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": LOGIN})
        response.del_cookie(COOKIE, path=CONSOLE)
        return response

    def _page(self, request: web.Request, status: int, problem: str = "") -> web.Response:
        html = _TEMPLATES.get_template("login.html").render(
            style=_STYLE, action=f"{LOGIN}?next={quote(_way_back(request))}", problem=problem
        )
        return html_response(html, status=status, headers=_PAGE_HEADERS)


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
    """Return the page after the login: of the console, never another site."""
    path = request.query.get("next", "")
    parts = urlsplit(path)
    ours = not parts.scheme and not parts.netloc and f"{parts.path}/".startswith(f"{CONSOLE}/")
    plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if ours and plain else CONSOLE


def _host_is_ours(request: web.Request, allowed: Sequence[str]) -> bool:
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return host == "localhost" or host in allowed or _address(host) is not None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
