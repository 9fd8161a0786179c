"""Listen on an address, with bounds on connections, time and bytes.

Nothing that a client sends reaches the log.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from typing_extensions import override

from notifier.errors import ConfigError, place_of
from notifier.telemetry.logs import LineLimit
from notifier.web.http.headers import SAFE_HEADERS

_LONGEST_SECONDS = 45.0
_LONGEST_UNASKED_SECONDS = 10.0
"""How long a connection may stay before all headers of its first request have arrived."""
_MOST_UNASKED_BYTES = 65_536
_MOST_CONNECTIONS = 500
"""Of one listener; fewer if the process may have few descriptors."""
_CHECK_SECONDS = 1.0
_SHUTDOWN_SECONDS = 3.0
"""How long a request in progress may keep the daemon from ending."""
_LINGERING_SECONDS = 2.0
"""How long the rest of a refused body is read, so that the client reads the answer."""

Headers = Callable[[], Mapping[str, str]]

log = structlog.get_logger(__name__)


async def listen(
    app: web.Application,
    bind: str,
    setting: str,
    stack: AsyncExitStack,
    *,
    headers: Headers,
    shared: bool = False,
) -> Callable[[], Awaitable[None]]:
    """Serve on an address; return the loop that bounds its connections.

    Args:
        app: The pages.
        bind: Host and port.
        setting: The setting that gives the address.
        stack: Ends the listener when it closes.
        headers: Of answers that no handler gives, to malformed requests and after faults.
        shared: Several processes may serve the address (SO_REUSEPORT).

    Raises:
        ConfigError: The address cannot be used; names the setting.
    """
    host, _, port = bind.rpartition(":")
    runner = BoundedRunner(app, headers=headers, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        site = web.TCPSite(runner, host.strip("[]"), int(port), reuse_port=shared or None)
        await site.start()
    except OSError as exc:
        raise ConfigError(
            f"{setting}: cannot listen on {bind}: {exc.strerror}; choose another address"
        ) from None
    address = runner.addresses[0]
    log.info("listening", setting=setting, address=f"{address[0]}:{address[1]}")
    server = runner.server
    assert server is not None  # noqa: S101 - it listens
    return partial(bound_connections, server)


class BoundedRunner(web.AppRunner):
    """Serves an application with bounds on its connections.

    `headers` are of answers that no handler gives, to malformed requests and after faults.
    """

    __slots__ = ("_headers", "_most")

    def __init__(
        self,
        app: web.Application,
        *,
        headers: Headers = lambda: SAFE_HEADERS,
        most: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, access_log=None, **options)
        self._headers = headers
        self._most = most or min(_MOST_CONNECTIONS, _descriptors() // 4)

    @override
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        make_request = made.request_factory

        def request_factory(message: Any, payload: Any, protocol: Any, *rest: Any) -> Any:
            protocol.asked = True
            return make_request(message, payload, protocol, *rest)

        return _Server(made.request_handler, request_factory, self._headers, self._most)


class _Server(web.Server):
    def __init__(self, handler: Any, request_factory: Any, headers: Headers, most: int) -> None:
        super().__init__(handler, request_factory=request_factory)
        self.headers = headers
        self.most = most
        self.lines = LineLimit(time.monotonic)

    @override
    def __call__(self) -> _Connection:
        return _Connection(self)

    def make_room(self) -> None:
        """Cut the oldest of too many connections, first one without a request.

        An honest request is short, so the oldest connection is the least likely to be one.
        """
        connected = [each for each in self.connections if _is_open(each)]
        if len(connected) <= self.most:
            return
        older = connected[:-1]
        waiting = (each for each in older if isinstance(each, _Connection) and not each.asked)
        _cut(next(waiting, older[0]))
        self.note("connections_cut", most=self.most)

    def note(self, event: str, **fields: object) -> None:
        left_out = self.lines.left_out(event)
        if left_out is not None:
            log.warning(event, **fields, **({"left_out": left_out} if left_out else {}))


class _Connection(web.RequestHandler):
    __slots__ = ("_bytes", "_server", "asked")

    def __init__(self, server: _Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            lingering_time=_LINGERING_SECONDS,
        )
        self._server = server
        self._bytes = 0
        self.asked = False
        """The headers of a request have arrived."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.make_room()

    @override
    def data_received(self, data: bytes) -> None:
        if not self.asked:
            self._bytes += len(data)
            if self._bytes > _MOST_UNASKED_BYTES:
                _cut(self)
                return
        super().data_received(data)

    @override
    def log_exception(self, *args: object, exc_info: object = None, **_: object) -> None:
        # Neither the error's text nor a traceback: they quote what was sent, with tokens.
        where = place_of(exc_info) if isinstance(exc_info, BaseException) else ""
        self._server.note("request_failed", where=where)

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status == HTTPStatus.BAD_REQUEST:
            self._server.note("request_malformed", error=type(exc).__name__)
        else:
            self.log_exception(exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        text = f"{status} {HTTPStatus(status).phrase}\n"
        response = web.Response(status=status, text=text, headers=self._server.headers())
        response.force_close()
        return response


async def bound_connections(
    server: web.Server,
    *,
    longest_seconds: float = _LONGEST_SECONDS,
    unasked_seconds: float = _LONGEST_UNASKED_SECONDS,
) -> None:
    """Cut connections that are too old or without a request, until cancelled.

    A page is one short request, so a longer one is slow on purpose. aiohttp itself waits for headers without a limit.
    """
    since: dict[int, float] = {}
    while True:
        now = time.monotonic()
        connections = {id(each): each for each in server.connections}
        since = {key: since.get(key, now) for key in connections}
        for key, connection in connections.items():
            unasked = isinstance(connection, _Connection) and not connection.asked
            if now - since[key] > (unasked_seconds if unasked else longest_seconds):
                _cut(connection)
        await asyncio.sleep(_CHECK_SECONDS)


def _descriptors() -> int:
    """Return how many files and connections this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4 * _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft


def _is_open(connection: Any) -> bool:
    transport = connection.transport
    return transport is not None and not transport.is_closing()


def _cut(connection: Any) -> None:
    if connection.transport is not None:
        connection.transport.abort()
