"""Wire what people do, and what follows when they do nothing."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from zoneinfo import ZoneInfo

from aiohttp import web

from notifier.daemon.parts import Daemon
from notifier.escalation import Matrix
from notifier.stages.action_recorder import ActionRecorder
from notifier.stages.escalator import Escalator
from notifier.stages.stage import keep_turning
from notifier.store.actions import PostgresFacts
from notifier.store.connection import Connection
from notifier.store.escalations import Ledger
from notifier.streams.actions import Actions
from notifier.teams.sender import utc_now
from notifier.web.callback import CallbackParts, add_callback
from notifier.web.clients import Clients
from notifier.web.desk import ActionDesk
from notifier.web.limits import PostLimit
from notifier.web.public import PublicParts, create_public_app

_FACTS_SECONDS = 2.5
"""A page goes on without facts then; Teams waits 5 s for the answer of a callback."""
_LONGER_THAN_LINKS_SECONDS = 86_400.0


def actions_of(daemon: Daemon) -> Actions:
    """Return the actions in Redis, remembered for longer than a link works."""
    ttl = daemon.config.public.link_ttl_seconds + _LONGER_THAN_LINKS_SECONDS
    return Actions(daemon.client, remember_seconds=ttl)


def public_app(daemon: Daemon) -> web.Application:
    """Make the public listener's application; the callback is on it when there is a token for it."""
    config, secrets = daemon.config, daemon.secrets
    public, actions = config.public, actions_of(daemon)
    desk = ActionDesk(
        PostgresFacts(config.database.url, timeout_seconds=_FACTS_SECONDS), actions
    )
    clients = Clients(public.trusted_proxies, public.user_header)
    limit = PostLimit(public.posts_per_minute, time.monotonic)
    key = secrets.hmac_key
    app = create_public_app(
        PublicParts(
            secrets=lambda: [key.get_secret_value()] if key else [],
            desk=desk,
            clients=clients,
            limit=limit,
            titles={name: channel.title for name, channel in config.channels.items()},
            zone=ZoneInfo(config.business_hours.time_zone),
            https=public.url.startswith("https://"),
            now=utc_now,
        )
    )
    if secrets.callback_tokens:
        keys = [base64.b64decode(token.get_secret_value()) for token in secrets.callback_tokens]
        add_callback(app, CallbackParts(lambda: keys, desk, actions, clients, limit, utc_now))
    return app


def add_actions(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Add the recording of actions, and the escalation scheduler where it is switched on."""
    config = daemon.config
    escalator = _escalator(daemon, stack)
    recorder = ActionRecorder(
        daemon.group,
        _ledger(daemon, stack),
        escalator,
        daemon.group.add,
        leases=daemon.leases,
        redis_settings=config.redis,
        announce=config.public.announce_acknowledgements,
        now=utc_now,
    )
    _add_loop(daemon, "recorder actions", recorder.turn)
    if config.escalation.enabled:
        _add_loop(daemon, "escalation", escalator.turn)


def _escalator(daemon: Daemon, stack: AsyncExitStack) -> Escalator:
    config = daemon.config
    return Escalator(
        _ledger(daemon, stack),
        actions_of(daemon),
        daemon.group.add,
        Matrix.of(config.escalation, config.business_hours),
        titles={name: channel.title for name, channel in config.channels.items()},
        poll_seconds=config.escalation.poll_seconds,
        stop=daemon.stop,
        now=utc_now,
    )


def _ledger(daemon: Daemon, stack: AsyncExitStack) -> Ledger:
    """Each loop has a connection of its own."""
    connection = Connection(daemon.config.database)
    stack.push_async_callback(connection.close)
    return Ledger(connection)


def _add_loop(daemon: Daemon, part: str, turn: Callable[[], Awaitable[object]]) -> None:
    daemon.health.expect(part)
    daemon.working.append(
        lambda: keep_turning(turn, part=part, stop=daemon.stop, health=daemon.health)
    )
