"""The admin listener: probes, metrics, and the guard of the console."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from notifier.telemetry.health import Readiness
from notifier.telemetry.metrics import exposition
from notifier.web.admin.access import AdminAccess, add_login, guard
from notifier.web.http.headers import ADMIN_HEADERS, always_add
from notifier.web.http.limits import RequestLimit

_METRICS_AT_ONCE = 20
_METRICS_FASTER = 15.0
"""Writing metrics takes 14 ms: 20 times at once and 5 times a second, then the last ones are served."""


def create_admin_app(
    readiness: Callable[[], Awaitable[Readiness]],
    *,
    instance: str,
    observe: Callable[[], Awaitable[None]],
    access: AdminAccess,
    clock: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Serve /healthz, /readyz and /metrics, and the login of the console.

    /readyz is 200 if the process can do its work, else 503, with the state of every component.

    Args:
        readiness: Gives the state of every component.
        instance: Name of this process.
        observe: Updates the gauges; called before metrics are served.
        access: Decides who may open pages under /console.
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
    app.on_response_prepare.append(always_add(lambda: ADMIN_HEADERS))
    add_login(app, access)
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return app
