"""Open the two listeners and sign the links that lead to the public one."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from notifier.cards import ActionLink
from notifier.config import Config
from notifier.daemon.actions import public_app
from notifier.daemon.parts import Daemon
from notifier.errors import ConfigError
from notifier.secrets import Secrets
from notifier.signing import action_token
from notifier.web.admin import create_admin_app
from notifier.web.bounds import bound_connections
from notifier.web.listener import listen


async def add_listeners(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Open the admin and the public listener, where they are configured; raises ConfigError."""
    config, secrets = daemon.config, daemon.secrets
    if config.admin.bind:
        app = create_admin_app(daemon.health, instance=daemon.instance)
        await listen(app, config.admin.bind, "admin.bind", stack)
    if config.public.bind:
        if secrets.hmac_key is None:
            raise ConfigError(
                "public.bind: action links need a key; set TEAMS_HMAC_SECRET_KEY to `openssl rand -hex 32`"
            )
        runner = await listen(
            public_app(daemon), config.public.bind, "public.bind", stack, shared=True
        )
        server = runner.server
        assert server is not None  # noqa: S101 - it listens
        daemon.serving.append(lambda: bound_connections(server))


def action_link(config: Config, secrets: Secrets) -> ActionLink | None:
    """Return what signs a card's action links; None without a key or a public URL."""
    key = secrets.hmac_key
    base = config.public.url
    if key is None or not base:
        return None

    def link(notification_id: str, action: str) -> str:
        expires_at = int(time.time() + config.public.link_ttl_seconds)
        token = action_token(
            key.get_secret_value(),
            notification_id=notification_id,
            action=action,
            expires_at=expires_at,
        )
        return f"{base}/a/{token}"

    return link
