"""Open the two listeners."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from notifier.daemon.actions import is_https, public_app
from notifier.daemon.components import Daemon
from notifier.daemon.console import add_console_to
from notifier.daemon.loops import Loop
from notifier.daemon.observing import Observer
from notifier.daemon.readiness import ReadinessChecks
from notifier.web.admin.access import AdminAccess
from notifier.web.admin.app import create_admin_app
from notifier.web.http.clients import Clients
from notifier.web.http.connections import SAFE_HEADERS, bound_connections
from notifier.web.http.limits import RequestLimit
from notifier.web.http.listener import listen
from notifier.web.public.app import public_headers

_LOGINS_PER_MINUTE = 10

log = structlog.get_logger(__name__)


async def add_listeners(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Open the admin and the public listener, where they are configured; raises ConfigError."""
    config = daemon.config
    if config.admin.bind:
        checks = ReadinessChecks(daemon)
        stack.push_async_callback(checks.close)
        observer = Observer(daemon)
        stack.push_async_callback(observer.close)
        app = create_admin_app(
            checks.readiness,
            instance=daemon.instance,
            observe=observer.observe,
            access=_access(daemon),
        )
        add_console_to(app, daemon, checks.readiness)
        runner = await listen(
            app, config.admin.bind, "admin.bind", stack, headers=lambda: SAFE_HEADERS
        )
        _bound(daemon, runner, "admin listener")
    if config.public.bind:
        runner = await listen(
            public_app(daemon),
            config.public.bind,
            "public.bind",
            stack,
            headers=lambda: public_headers(https=is_https(daemon)),
            shared=True,
        )
        _bound(daemon, runner, "public listener")


def _bound(daemon: Daemon, runner: web.AppRunner, name: str) -> None:
    server = runner.server
    assert server is not None  # noqa: S101 - it listens
    daemon.serving.append(Loop(name, lambda: bound_connections(server)))


def _access(daemon: Daemon) -> AdminAccess:
    admin = daemon.config.admin
    access = AdminAccess(
        bind=admin.bind,
        token=lambda: daemon.secrets.admin_token,
        clients=Clients(admin.trusted_proxies, admin.user_header),
        proxied=bool(admin.user_header),
        allowed_hosts=admin.allowed_hosts,
        limit=RequestLimit(_LOGINS_PER_MINUTE, time.monotonic),
        now=time.time,
    )
    if access.closed:
        log.warning(
            "console_closed",
            bind=admin.bind,
            fix="it is open to the network: set TEAMS_ADMIN_TOKEN (make one with: notifier keys new) or admin.user_header",
        )
    return access
