"""Open the admin and the public listener."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog

from notifier.config.secrets import Secrets
from notifier.daemon.channels import Channels
from notifier.daemon.components import (
    accepted_actions,
    channel_titles,
    remember_actions_seconds,
)
from notifier.daemon.dependencies import Dependencies
from notifier.daemon.gauges import Gauges
from notifier.daemon.loops import Loop
from notifier.daemon.readiness import ReadinessChecks
from notifier.daemon.snapshot import Snapshot
from notifier.escalation.acknowledge import ActionService
from notifier.escalation.repository import FactsRepository
from notifier.ops.trace.search import TraceSearch
from notifier.telemetry.clock import utc_now
from notifier.web.admin.access import AdminAccess
from notifier.web.admin.app import create_admin_app
from notifier.web.console.pages import ConsoleDependencies
from notifier.web.console.repository import ConsoleRepository
from notifier.web.console.routes import add_console
from notifier.web.http.clients import Clients
from notifier.web.http.headers import ADMIN_HEADERS
from notifier.web.http.limits import RequestLimit
from notifier.web.http.listener import listen
from notifier.web.public.app import PublicDependencies, create_public_app, public_headers
from notifier.web.public.callback import CallbackDependencies, add_callback

_LOGINS_PER_MINUTE = 10
_CONSOLE_SECONDS = 3.0
"""A page of the console is shown without Postgres then."""
_TRACE_SECONDS = 20.0
_FACTS_SECONDS = 2.5
"""A page is shown without facts then; Teams waits 5 s for the answer of a callback."""

log = structlog.get_logger(__name__)


async def open_admin_listener(
    dependencies: Dependencies, channels: Channels, stack: AsyncExitStack
) -> Loop:
    """Open the admin listener; returns the loop that bounds its connections."""
    config = dependencies.config
    checks = ReadinessChecks(dependencies, channels)
    gauges = Gauges(dependencies, channels)
    app = create_admin_app(
        checks.readiness,
        instance=dependencies.instance,
        observe=gauges.observe,
        access=_admin_access(dependencies),
    )
    add_console(
        app,
        ConsoleDependencies(
            instance=dependencies.instance,
            readiness=checks.readiness,
            streams=dependencies.group,
            store=ConsoleRepository(dependencies.pool.share(3, seconds=_CONSOLE_SECONDS)),
            finder=TraceSearch(
                dependencies.group, dependencies.pool.share(2, seconds=_TRACE_SECONDS)
            ),
            config=lambda: dependencies.config,
            masking=lambda: dependencies.snapshot.masking,
            catalogue=lambda: dependencies.snapshot.catalogue,
            has_login=lambda: dependencies.secrets.admin_token is not None,
            now=utc_now,
            clock=time.monotonic,
        ),
    )
    bound = await listen(
        app, config.admin.bind, "admin.bind", stack, headers=lambda: ADMIN_HEADERS
    )
    return Loop("admin listener", bound)


async def open_public_listener(
    dependencies: Dependencies, stack: AsyncExitStack
) -> tuple[Loop, Callable[[Snapshot], None]]:
    """Open the public listener; raises ConfigError.

    Returns the loop that bounds its connections, and what to call with a new snapshot.
    The callback answers while there is a token for it.
    """
    public = dependencies.config.public
    actions = accepted_actions(dependencies)
    facts = FactsRepository(dependencies.pool.share(4, seconds=_FACTS_SECONDS))
    service = ActionService(facts, actions)
    limit = RequestLimit(public.posts_per_minute, time.monotonic)
    clients, now = partial(_clients, dependencies), dependencies.clock.now

    def use(new: Snapshot) -> None:
        limit.use(new.config.public.posts_per_minute)
        actions.use(remember_seconds=remember_actions_seconds(new.config))

    app = create_public_app(
        PublicDependencies(
            secrets=lambda: _link_keys(dependencies.secrets),
            actions=service,
            clients=clients,
            limit=limit,
            titles=lambda: channel_titles(dependencies.config),
            zone=lambda: ZoneInfo(dependencies.config.business_hours.time_zone),
            https=lambda: _is_https(dependencies),
            now=now,
            hosts=lambda: {urlsplit(dependencies.config.public.url).hostname or ""},
        )
    )
    tokens = partial(_callback_tokens, dependencies)
    add_callback(app, CallbackDependencies(tokens, service, actions, clients, limit, now))
    bound = await listen(
        app,
        public.bind,
        "public.bind",
        stack,
        headers=lambda: public_headers(https=_is_https(dependencies)),
        shared=True,
    )
    return Loop("public listener", bound), use


def _is_https(dependencies: Dependencies) -> bool:
    return dependencies.config.public.url.startswith("https://")


def _clients(dependencies: Dependencies) -> Clients:
    public = dependencies.config.public
    return Clients(public.trusted_proxies, public.user_header)


def _link_keys(secrets: Secrets) -> Sequence[str]:
    return secrets.keys.texts if secrets.keys else ()


def _callback_tokens(dependencies: Dependencies) -> Sequence[bytes]:
    tokens = dependencies.secrets.callback_tokens
    return [base64.b64decode(token.get_secret_value()) for token in tokens]


def _admin_access(dependencies: Dependencies) -> AdminAccess:
    admin = dependencies.config.admin
    access = AdminAccess(
        bind=admin.bind,
        token=lambda: dependencies.secrets.admin_token,
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
