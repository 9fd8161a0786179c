"""Wire the operations console."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from notifier.daemon.parts import Daemon
from notifier.store.console import ConsoleStore
from notifier.teams.sender import utc_now
from notifier.web.console.parts import ConsoleParts
from notifier.web.console.routes import add_console

_POSTGRES_SECONDS = 3.0
"""A page goes on without Postgres then."""


def add_console_to(app: web.Application, daemon: Daemon) -> None:
    """Add the console to the admin listener's application."""

    def webhooks() -> Mapping[str, str]:
        return {name: each.state.value for name, each in daemon.secrets.found.items()}

    add_console(
        app,
        ConsoleParts(
            instance=daemon.instance,
            health=daemon.health,
            group=daemon.group,
            store=ConsoleStore(daemon.config.database.url, timeout_seconds=_POSTGRES_SECONDS),
            config=lambda: daemon.config,
            masking=lambda: daemon.snapshot.masking,
            catalogue=lambda: daemon.snapshot.catalogue,
            gates=lambda: daemon.gates,
            webhooks=webhooks,
            has_login=lambda: daemon.secrets.admin_token is not None,
            now=utc_now,
            clock=time.monotonic,
        ),
    )
