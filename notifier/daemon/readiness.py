"""Collect the answer of /readyz."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version

import structlog

from notifier.broker.client import few_connections
from notifier.broker.server import clock_ahead
from notifier.config.secrets import State
from notifier.daemon.channels import Channels
from notifier.daemon.dependencies import Dependencies
from notifier.daemon.snapshot import Snapshot
from notifier.errors import UnreachableError
from notifier.store.migrations import missing_migrations
from notifier.telemetry.clock import Every, duration
from notifier.telemetry.health import ChannelState, Readiness, SecretsState, Server, ServerState

_LEAST_INTERVAL_SECONDS = 2.0
_TIMEOUT_SECONDS = 2.0
_CLOCKS_DIFFER_SECONDS = 60.0

log = structlog.get_logger(__name__)


class ReadinessChecks:
    """Asks the servers at most every two seconds."""

    def __init__(self, dependencies: Dependencies, channels: Channels) -> None:
        self._dependencies = dependencies
        self._channels = channels
        self._due = Every(_LEAST_INTERVAL_SECONDS, time.monotonic)
        self._lock = asyncio.Lock()
        self._redis = Server(ServerState.OK)
        self._postgres = Server(ServerState.UNUSED)
        self._ahead: dict[str, float] = {}

    async def readiness(self) -> Readiness:
        """Return the state of everything, within about two seconds."""
        async with self._lock:
            if self._due.due():
                self._redis, self._postgres = await asyncio.gather(
                    _server("Redis", self._ask_redis), _server("Postgres", self._ask_postgres)
                )
                self._check_clocks()
        dependencies, health = self._dependencies, self._dependencies.health
        warnings = {**health.degraded, **_missing_webhooks(dependencies)}
        if few := few_connections(dependencies.group.client):
            warnings = {"redis connections": few, **warnings}
        if self._postgres.state is ServerState.FAULT:
            warnings = {"postgres": self._postgres.detail, **warnings}
        return Readiness(
            dependencies.instance,
            health.ready and self._redis.state is ServerState.OK,
            health.components,
            warnings,
            self._redis,
            self._postgres,
            _secrets_state(dependencies.snapshot),
            _channel_states(dependencies, self._channels),
            version("notifier"),
        )

    async def _ask_redis(self) -> Server:
        # Not PING: on a cluster only the nodes count that hold our streams.
        for stream in self._dependencies.config.streams:
            await self._dependencies.group.length(stream)
        ahead = await clock_ahead(self._dependencies.group, now=time.time)
        self._ahead["Redis"] = ahead or 0.0
        return Server(ServerState.OK)

    async def _ask_postgres(self) -> Server:
        if (
            "recorder" not in self._dependencies.stages
            and not self._dependencies.config.public.bind
        ):
            return Server(ServerState.UNUSED)
        async with self._dependencies.pool.connection(_TIMEOUT_SECONDS) as connection:
            missing = await missing_migrations(connection)
            self._ahead["Postgres"] = await connection.clock_ahead(time.time)
        if missing:
            why = f"the schema lacks {', '.join(missing)}; run: notifier migrate up"
            return Server(ServerState.FAULT, why, missing)
        return Server(ServerState.OK)

    def _check_clocks(self) -> None:
        why = clocks_differ(self._ahead)
        is_new = "clock" not in self._dependencies.health.warnings
        self._dependencies.health.warn("clock", why)
        if why and is_new:
            log.warning("clock_differs", reason=why)


def clocks_differ(ahead_seconds: Mapping[str, float]) -> str | None:
    """Return a warning of clocks that differ by over a minute; None if equal."""
    away = [
        f"{duration(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'} {server}"
        for server, ahead in ahead_seconds.items()
        if abs(ahead) > _CLOCKS_DIFFER_SECONDS
    ]
    if not away:
        return None
    return f"this machine's clock is {' and '.join(away)}; let all follow NTP, see: timedatectl timesync-status"


async def _server(name: str, ask: Callable[[], Awaitable[Server]]) -> Server:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await ask()
    except UnreachableError as exc:
        return Server(ServerState.FAULT, str(exc))
    except TimeoutError:
        return Server(
            ServerState.FAULT, f"{name} does not answer within {_TIMEOUT_SECONDS:g} s"
        )


def _secrets_state(snapshot: Snapshot) -> SecretsState:
    vault = "off" if snapshot.vault is None else "away" if snapshot.vault_away else "ok"
    return SecretsState(
        vault,
        "configured" if snapshot.secrets.keys else "missing",
        "configured" if snapshot.secrets.admin_token else "missing",
        snapshot.secrets.keys.ids if snapshot.secrets.keys else (),
    )


def _missing_webhooks(dependencies: Dependencies) -> dict[str, str]:
    """Return a warning of channels without a webhook, if they are delivered.

    It makes dead letters of all cards for them.
    """
    without = [
        f"{name} ({webhook.fault or webhook.state.value})"
        for name, webhook in dependencies.secrets.found.items()
        if webhook.state is not State.CONFIGURED
    ]
    if not without or "delivery" not in dependencies.stages:
        return {}
    reason = f"none for {', '.join(without)}: each card for them becomes a dead letter (not_configured); set their webhooks, then reload, or restart after changing a credential file"
    return {"webhooks": reason}


def _channel_states(dependencies: Dependencies, channels: Channels) -> dict[str, ChannelState]:
    limiters = {limiter.channel: limiter for limiter in channels.limiters}
    states = {}
    for name, webhook in dependencies.secrets.found.items():
        state = dependencies.health.components.get(f"channel {name}", "ok")
        limiter = limiters.get(name)
        states[name] = ChannelState(
            webhook.state.value,
            "" if state == "ok" else state,
            "unused" if limiter is None else "closed" if limiter.breaker.closed else "open",
            0.0 if limiter is None else round(limiter.pause_left_seconds, 1),
        )
    return states
