"""Listen on an address from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiohttp import web

from notifier.errors import ConfigError
from notifier.web.http.connections import BoundedRunner, Headers, bound_connections

_SHUTDOWN_SECONDS = 3.0
"""How long a request in progress may keep the daemon from ending."""

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
    """Serve on an address until `stack` closes; returns a loop that bounds its connections.

    A shared address may be served by several processes (SO_REUSEPORT).
    `headers` are of answers that no handler gives: to what is no request, and to faults.

    Raises:
        ConfigError: The address cannot be listened on; names the setting.
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
