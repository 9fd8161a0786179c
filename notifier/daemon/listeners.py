"""Open the two listeners and sign the links that lead to the public one."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import structlog

from notifier.cards import ActionLink
from notifier.config import Config
from notifier.daemon.observing import Observer
from notifier.daemon.parts import Daemon
from notifier.errors import ConfigError
from notifier.secrets import Secrets
from notifier.signing import ActionClaim, action_token
from notifier.store.actions import NotificationFacts, PostgresActions
from notifier.streams.actions import publish_action
from notifier.teams.sender import utc_now
from notifier.web.admin import create_admin_app
from notifier.web.listener import listen
from notifier.web.public import create_public_app

log = structlog.get_logger(__name__)


async def add_listeners(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Open the admin and the public listener, where they are configured; raises ConfigError."""
    config, secrets = daemon.config, daemon.secrets
    if config.admin.bind:
        app = create_admin_app(
            daemon.health, instance=daemon.instance, observe=Observer(daemon).observe
        )
        await listen(app, config.admin.bind, "admin.bind", stack)
    if config.public.bind:
        if secrets.hmac_key is None:
            raise ConfigError(
                "public.bind: action links need a key; set TEAMS_HMAC_SECRET_KEY to `openssl rand -hex 32`"
            )
        database = config.database
        actions = PostgresActions(
            database.url, connect_timeout_seconds=database.connect_timeout_seconds
        )
        public = create_public_app(
            secrets=[secrets.hmac_key.get_secret_value()],
            actions=actions,
            request_work=lambda *request: _request_work(daemon, *request),
            now=utc_now,
        )
        await listen(public, config.public.bind, "public.bind", stack, shared=True)


async def _request_work(
    daemon: Daemon, claim: ActionClaim, facts: NotificationFacts, who: str, note: str
) -> None:
    fields = {
        "action": claim.action,
        "notification_id": claim.notification_id,
        "event_id": facts.event_id,
        "event_type": facts.event_type,
        "correlation_id": facts.correlation_id,
        "requested_by": who,
        "note": note,
        "requested_at": utc_now().isoformat(timespec="seconds"),
    }
    await publish_action(daemon.client, fields)
    log.info("action_requested", action=claim.action, notification_id=claim.notification_id)


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
