"""Wire the operations console."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from notifier.daemon.components import Daemon
from notifier.events.times import utc_now
from notifier.ops.trace import TraceSearch
from notifier.telemetry.health import Readiness
from notifier.web.console.parts import ConsoleDependencies
from notifier.web.console.repository import ConsoleRepository
from notifier.web.console.routes import add_console

_POSTGRES_SECONDS = 3.0
"""A page goes on without Postgres then."""


def add_console_to(
    app: web.Application, daemon: Daemon, readiness: Callable[[], Awaitable[Readiness]]
) -> None:
    """Add the console to the admin listener's application."""
    config = daemon.config
    add_console(
        app,
        ConsoleDependencies(
            instance=daemon.instance,
            readiness=readiness,
            group=daemon.group,
            store=ConsoleRepository(config.database.url, timeout_seconds=_POSTGRES_SECONDS),
            finder=TraceSearch(daemon.client, config.redis, config.database),
            config=lambda: daemon.config,
            masking=lambda: daemon.snapshot.masking,
            catalogue=lambda: daemon.snapshot.catalogue,
            has_login=lambda: daemon.secrets.admin_token is not None,
            now=utc_now,
            clock=time.monotonic,
        ),
    )
