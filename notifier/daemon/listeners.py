"""Open the two listeners."""

from __future__ import annotations

from contextlib import AsyncExitStack

import structlog

from notifier.daemon.links import CurrentKeys
from notifier.daemon.parts import Daemon
from notifier.signing import ActionClaim
from notifier.store.actions import NotificationFacts, PostgresActions
from notifier.streams.actions import publish_action
from notifier.teams.sender import utc_now
from notifier.web.admin import create_admin_app
from notifier.web.listener import listen
from notifier.web.public import create_public_app

log = structlog.get_logger(__name__)


async def add_listeners(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Open the admin and the public listener, where they are configured; raises ConfigError."""
    config = daemon.config
    if config.admin.bind:
        app = create_admin_app(daemon.health, instance=daemon.instance)
        await listen(app, config.admin.bind, "admin.bind", stack)
    if config.public.bind:
        database = config.database
        actions = PostgresActions(
            database.url, connect_timeout_seconds=database.connect_timeout_seconds
        )
        public = create_public_app(
            secrets=CurrentKeys(lambda: daemon.secrets.keys),
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
