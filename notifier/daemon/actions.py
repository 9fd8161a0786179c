"""Wire what people do, and what follows when they do nothing."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from aiohttp import web

from notifier.daemon.components import Daemon
from notifier.daemon.loops import Loop
from notifier.escalation.acknowledge import ActionService
from notifier.escalation.action_recorder import ActionRecorder
from notifier.escalation.action_repository import ActionRepository
from notifier.escalation.actions import Actions
from notifier.escalation.policy import Matrix
from notifier.escalation.repository import EscalationRepository
from notifier.escalation.scheduler import EscalationScheduler
from notifier.events.producer_signature import sign_own
from notifier.events.times import utc_now
from notifier.pipeline.stage import run_steps
from notifier.store.database import Connection
from notifier.web.http.clients import Clients
from notifier.web.http.limits import RequestLimit
from notifier.web.public.app import PublicDependencies, create_public_app
from notifier.web.public.callback import CallbackDependencies, add_callback

_FACTS_SECONDS = 2.5
"""A page goes on without facts then; Teams waits 5 s for the answer of a callback."""
_LONGER_THAN_LINKS_SECONDS = 86_400.0


def actions_of(daemon: Daemon) -> Actions:
    """Return the actions in Redis, remembered for longer than a link works."""
    return Actions(
        daemon.client, daemon.config.redis, remember_seconds=_remember_seconds(daemon)
    )


def _remember_seconds(daemon: Daemon) -> float:
    return daemon.config.public.link_ttl_seconds + _LONGER_THAN_LINKS_SECONDS


def public_app(daemon: Daemon) -> web.Application:
    """Make the public listener's application; the callback answers while there is a token for it."""
    actions = actions_of(daemon)
    facts = ActionRepository(daemon.config.database.url, timeout_seconds=_FACTS_SECONDS)
    desk = ActionService(facts, actions)
    limit = RequestLimit(daemon.config.public.posts_per_minute, time.monotonic)

    def follow_reload() -> None:
        limit.use(daemon.config.public.posts_per_minute)
        actions.use(remember_seconds=_remember_seconds(daemon))

    daemon.after_reload.append(follow_reload)

    def clients() -> Clients:
        public = daemon.config.public
        return Clients(public.trusted_proxies, public.user_header)

    app = create_public_app(
        PublicDependencies(
            secrets=lambda: _link_keys(daemon),
            desk=desk,
            clients=clients,
            limit=limit,
            titles=lambda: _titles(daemon),
            zone=lambda: ZoneInfo(daemon.config.business_hours.time_zone),
            https=lambda: is_https(daemon),
            now=daemon.clock.now,
            hosts=lambda: {urlsplit(daemon.config.public.url).hostname or ""},
        )
    )
    add_callback(
        app,
        CallbackDependencies(
            lambda: _callback_keys(daemon), desk, actions, clients, limit, daemon.clock.now
        ),
    )
    return app


def is_https(daemon: Daemon) -> bool:
    """Tell whether people reach the action pages by https."""
    return daemon.config.public.url.startswith("https://")


def add_actions(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Add the recording of actions and the escalation scheduler."""

    def publish(stream: str, entries: Sequence[Mapping[str, str]]) -> Awaitable[object]:
        keys = daemon.secrets.keys
        return daemon.group.add_all(
            stream, [sign_own(keys, stream, fields) for fields in entries]
        )

    escalator = EscalationScheduler(
        _ledger(daemon, stack),
        actions_of(daemon),
        publish,
        lambda: Matrix.of(daemon.config.escalation, daemon.config.business_hours),
        titles=lambda: _titles(daemon),
        stop=daemon.stop,
        now=utc_now,
    )
    recorder = ActionRecorder(
        daemon.group,
        _ledger(daemon, stack),
        escalator,
        publish,
        leases=daemon.leases,
        redis_settings=daemon.config.redis,
        announced=lambda: daemon.config.public.announce_acknowledgements,
        now=daemon.clock.now,
    )
    _add_loop(daemon, "recorder actions", recorder.step)
    _add_loop(daemon, "escalation", escalator.step)


def _link_keys(daemon: Daemon) -> Sequence[str]:
    keys = daemon.secrets.keys
    return keys.texts if keys else ()


def _callback_keys(daemon: Daemon) -> Sequence[bytes]:
    tokens = daemon.secrets.callback_tokens
    return [base64.b64decode(token.get_secret_value()) for token in tokens]


def _titles(daemon: Daemon) -> Mapping[str, str]:
    return {name: channel.title for name, channel in daemon.config.channels.items()}


def _ledger(daemon: Daemon, stack: AsyncExitStack) -> EscalationRepository:
    """Each loop has a connection of its own."""
    database = daemon.config.database
    connection = Connection(
        database.url,
        connect_timeout_seconds=database.connect_timeout_seconds,
        statement_timeout_seconds=database.statement_timeout_seconds,
    )
    stack.push_async_callback(connection.close)
    return EscalationRepository(connection)


def _add_loop(daemon: Daemon, part: str, step: Callable[[], Awaitable[object]]) -> None:
    daemon.expect_recording(part)
    daemon.working.append(
        Loop(part, lambda: run_steps(step, part=part, stop=daemon.stop, health=daemon.health))
    )
