"""The listener for operators and their tools: is the daemon alive, and does it do its work."""

from __future__ import annotations

from aiohttp import web

from notifier.telemetry.health import Health


def create_admin_app(health: Health, *, instance: str) -> web.Application:
    """Serve /healthz (alive) and /readyz (200 when every part works, else 503, with each part's state)."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive", "instance": instance})

    async def readyz(_: web.Request) -> web.Response:
        body = {
            "status": "ready" if health.ready else "not ready",
            "instance": instance,
            "parts": health.parts,
            "warnings": health.warnings,
        }
        return web.json_response(body, status=200 if health.ready else 503)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app
