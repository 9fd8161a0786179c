"""Open the two listeners."""

from __future__ import annotations

from contextlib import AsyncExitStack

from notifier.daemon.actions import public_app
from notifier.daemon.observing import Observer
from notifier.daemon.parts import Daemon
from notifier.web.admin import create_admin_app
from notifier.web.bounds import bound_connections
from notifier.web.listener import listen


async def add_listeners(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Open the admin and the public listener, where they are configured; raises ConfigError."""
    config = daemon.config
    if config.admin.bind:
        app = create_admin_app(
            daemon.health, instance=daemon.instance, observe=Observer(daemon).observe
        )
        await listen(app, config.admin.bind, "admin.bind", stack)
    if config.public.bind:
        runner = await listen(
            public_app(daemon), config.public.bind, "public.bind", stack, shared=True
        )
        server = runner.server
        assert server is not None  # noqa: S101 - it listens
        daemon.serving.append(lambda: bound_connections(server))
