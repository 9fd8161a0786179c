"""The listener for operators and their tools: is the daemon alive, and does it do its work."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from notifier.telemetry.health import Readiness
from notifier.telemetry.metrics import exposition
from notifier.web.admin.access import AdminAccess, add_headers, add_login, guard
from notifier.web.http.limits import RequestLimit

_METRICS_AT_ONCE = 20
_METRICS_FASTER = 15.0
"""Writing metrics takes 14 ms, and whoever reaches the listener may ask: 20 times at once and 5 times a second, then they get the last ones."""


def create_admin_app(
    readiness: Callable[[], Awaitable[Readiness]],
    *,
    instance: str,
    observe: Callable[[], Awaitable[None]],
    access: AdminAccess,
    clock: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Serve /healthz (alive), /readyz (200 when the process can do its work, else 503, with the state of everything) and /metrics.

    Args:
        readiness: The state of everything.
        instance: Name of this process.
        observe: Brings the gauges up to date; called before metrics are served.
        access: Who may open what is under /console.
        clock: Gives monotonic seconds.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive", "instance": instance})

    async def readyz(_: web.Request) -> web.Response:
        state = await readiness()
        return web.json_response(state.body(), status=200 if state.ready else 503)

    written = b""
    limit = RequestLimit(_METRICS_AT_ONCE, lambda: clock() * _METRICS_FASTER)

    async def metrics(_: web.Request) -> web.Response:
        nonlocal written
        if not written or limit.wait_seconds("metrics") == 0:
            await observe()
            written = exposition()
        return web.Response(
            body=written,
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    app = web.Application(middlewares=[guard(access)])
    add_login(app, access)

    async def prepared(_: web.Request, response: web.StreamResponse) -> None:
        # Of answers that come about without the guard too, such as to an Expect that is not known.
        add_headers(response)
        response.headers["Server"] = "notifier"

    app.on_response_prepare.append(prepared)
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return app
