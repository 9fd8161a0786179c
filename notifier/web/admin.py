"""The listener for operators and their tools: is the daemon alive, and does it do its work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from notifier.telemetry.metrics import exposition
from notifier.telemetry.readiness import Readiness
from notifier.web.admin_access import AdminAccess, add_headers, add_login, guard


def create_admin_app(
    readiness: Callable[[], Awaitable[Readiness]],
    *,
    instance: str,
    observe: Callable[[], Awaitable[None]],
    access: AdminAccess,
) -> web.Application:
    """Serve /healthz (alive), /readyz (200 when the process can do its work, else 503, with the state of everything) and /metrics.

    Args:
        readiness: The state of everything.
        instance: Name of this process.
        observe: Brings the gauges up to date; called before metrics are served.
        access: Who may open what is under /console.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive", "instance": instance})

    async def readyz(_: web.Request) -> web.Response:
        state = await readiness()
        return web.json_response(state.body(), status=200 if state.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        await observe()
        return web.Response(
            body=exposition(),
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
