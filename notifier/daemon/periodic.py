"""Trim streams, show presence and check Redis at intervals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from urllib.parse import urlsplit

import structlog

from notifier.broker.keys import Keys
from notifier.broker.rights import missing_rights
from notifier.broker.server import clock_ahead, read_servers
from notifier.broker.stream_ids import judge_ids, read_ids
from notifier.daemon.channels import Channels
from notifier.daemon.components import read_streams
from notifier.daemon.dependencies import Dependencies
from notifier.dead_letters.abandoned_lanes import lanes_waiting
from notifier.errors import UnreachableError
from notifier.ops.doctor.redis import settings_findings
from notifier.telemetry import metrics
from notifier.telemetry.clock import Every

_HOUSEKEEPING_SECONDS = 60.0
_PRESENCE_SECONDS = 20.0
_CHECK_SECONDS = 30.0
_CHECK_SERVER_SECONDS = 600.0
_FORGET_CONSUMER_SECONDS = 3600.0
_FORGET_REFUSAL_SECONDS = 300.0
"""An entry that Redis refuses is tried again after a lease, which is much shorter."""

log = structlog.get_logger(__name__)


async def keep_house(dependencies: Dependencies, channels: Channels) -> None:
    """Trim event streams by age and remove consumers of ended processes."""
    group = dependencies.group
    while True:
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
        config = dependencies.config
        group.refused_keys.forget_older(
            max(_FORGET_REFUSAL_SECONDS, 3 * config.redis.lease_seconds)
        )
        if "intake" in dependencies.stages:
            for stream in config.streams:
                await _attempt(stream, _trim(dependencies, stream))
        for stream in read_streams(dependencies, channels):
            await _attempt(
                stream, group.forget_consumers(stream, idle_seconds=_FORGET_CONSUMER_SECONDS)
            )


async def _attempt(stream: str, work: Awaitable[object]) -> None:
    """Log a failure, so that the other streams have their turn."""
    try:
        await work
    except UnreachableError as exc:
        log.warning("housekeeping_failed", stream=stream, reason=str(exc))


async def _trim(dependencies: Dependencies, stream: str) -> None:
    # The age is counted by Redis' clock, which made the ids: a wrong clock here must trim nothing.
    config = dependencies.config
    ahead = await clock_ahead(dependencies.group, now=time.time)
    now = time.time() + (ahead or 0.0)
    cutoff = int((now - config.intake.retention_seconds) * 1000)
    trimmed = await dependencies.group.trim(stream, older_than_ms=cutoff)
    if trimmed:
        log.info("events_trimmed", stream=stream, count=trimmed)


async def show_presence(dependencies: Dependencies, channels: Channels) -> None:
    """Keep this consumer known in every stream that it reads, until `stop`.

    Before Redis 7.2 a read that finds nothing leaves no trace: an idle process looked like an ended one.
    """
    stop = dependencies.stop
    while not stop.is_set():
        for stream in read_streams(dependencies, channels):
            with suppress(UnreachableError):  # the stages report it
                if not stop.is_set():
                    await dependencies.group.appear(stream)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PRESENCE_SECONDS)


class BackgroundChecks:
    """Warns in the log and in /readyz of problems that no stage notices.

    These are unsafe settings of Redis, missing rights, streams that cannot be added to or trimmed,
    lanes without a channel, and many dead letters.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._server_due = Every(_CHECK_SERVER_SECONDS, time.monotonic)
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Check at once: the settings may have changed."""
        self._requested.set()

    async def run(self) -> None:
        """Check at start, on request and every 30 s, until cancelled."""
        while True:
            self._requested.clear()
            for check in (
                self._check_lanes,
                self._check_dead_letters,
                self._check_streams,
                self._check_server,
            ):
                with suppress(UnreachableError):  # the stages report it
                    await check()
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await self._requested.wait()
            except TimeoutError:
                continue

    async def _check_server(self) -> None:
        if self._server_due.due():
            try:
                await self._check_settings()
                await self._check_rights()
            except UnreachableError:
                self._server_due.again()
                raise
        elif "redis rights" in self._dependencies.health.warnings:
            await self._check_rights()

    async def _check_rights(self) -> None:
        config = self._dependencies.config
        if not _names_a_user(config.redis.url):
            return
        rights = await missing_rights(self._dependencies.group, config.streams)
        lacking = " ".join([*rights.keys, *rights.commands])
        reason = f"this Redis user lacks {lacking}; give it: ACL SETUSER <user> {lacking}"
        self._warn("redis rights", reason if lacking else "", "redis_rights_missing")

    async def _check_settings(self) -> None:
        ask_config = not _names_a_user(self._dependencies.config.redis.url)
        servers = await read_servers(
            self._dependencies.group, ask_config=ask_config, now=time.time
        )
        findings = [str(finding) for server in servers for finding in settings_findings(server)]
        self._warn("redis settings", "; ".join(findings), "redis_settings_unsafe")

    async def _check_lanes(self) -> None:
        config, group = self._dependencies.config, self._dependencies.group
        found = []
        for stream in config.streams:
            await group.remember_channels(stream, config.channels)
            abandoned = 0
            for channel, waiting in (await lanes_waiting(group, stream)).items():
                if channel in config.channels or not sum(waiting):
                    continue
                abandoned += sum(waiting)
                found.append(
                    f"{sum(waiting)} notifications wait in {stream} for {channel}, which is not in [channels]; "
                    f"add it, or make dead letters of them: notifier lanes drain {channel}"
                )
            metrics.ABANDONED.labels(stream).set(abandoned)
        self._warn("lanes", "; ".join(found), "lanes_without_channel")

    async def _check_streams(self) -> None:
        config = self._dependencies.config
        found = []
        for stream in config.streams:
            ids = await read_ids(self._dependencies.group, stream)
            if ids is not None:
                faults = judge_ids(ids, retention_seconds=config.intake.retention_seconds)
                found += [f"{each.what}; {each.fix}" for each in faults]
        self._warn("event streams", "; ".join(found), "event_streams_hindered")

    async def _check_dead_letters(self) -> None:
        limit = self._dependencies.config.dead_letters.warn_above
        found = []
        for stream in self._dependencies.config.streams:
            kept = await self._dependencies.group.length(Keys(stream).dead)
            if limit and kept > limit:
                found.append(
                    f"{kept} dead letters of {stream} wait, more than {limit} (dead_letters.warn_above); "
                    "see: notifier dlq list, then replay or discard them"
                )
        self._warn("dead letters", "; ".join(found), "many_dead_letters")

    def _warn(self, component: str, reason: str, event: str) -> None:
        health = self._dependencies.health
        is_new = component not in health.warnings
        health.warn(component, reason or None)
        # The counts in it change often; log only the first.
        if reason and is_new:
            log.warning(event, reason=reason)


def _names_a_user(url: str) -> bool:
    """Tell whether a URL logs in as a user of its own.

    Such a user often has few rights, and Redis would log its refused commands.
    """
    return bool(urlsplit(url).username)
