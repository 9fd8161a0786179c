"""Look now and then at what no stage looks at, and warn in the log and in /readyz."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit

import structlog

from notifier.broker.keys import Keys
from notifier.broker.stream_ids import judge_ids, read_ids
from notifier.daemon.components import Daemon
from notifier.dead_letters.abandoned_lanes import AbandonedLanes
from notifier.errors import UnreachableError
from notifier.ops.doctor.redis_acl import missing_rights
from notifier.ops.doctor.redis_settings import judge, read_server_settings
from notifier.pipeline.stage import Every
from notifier.telemetry import metrics

_INTERVAL_SECONDS = 30.0
_SETTINGS_INTERVAL_SECONDS = 600.0

log = structlog.get_logger(__name__)


class BackgroundChecks:
    """Warns of unsafe settings of Redis, streams that cannot be added to or trimmed, lanes that nobody reads, and many dead letters."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._lanes = AbandonedLanes(daemon.client, daemon.config.redis)
        self._settings_due = Every(_SETTINGS_INTERVAL_SECONDS, time.monotonic)
        self._asked = asyncio.Event()

    def request(self) -> None:
        """Look at once: the settings may have changed."""
        self._asked.set()

    async def run(self) -> None:
        """Look at start, when asked, and every half minute, until cancelled."""
        while True:
            self._asked.clear()
            for look in (
                self._look_at_lanes,
                self._look_at_dead_letters,
                self._look_at_streams,
                self._look_at_server,
            ):
                with suppress(UnreachableError):  # the stages report it
                    await look()
            try:
                async with asyncio.timeout(_INTERVAL_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _look_at_server(self) -> None:
        if self._settings_due.due():
            try:
                await self._look_at_settings()
                await self._look_at_rights()
            except UnreachableError:
                self._settings_due = Every(_SETTINGS_INTERVAL_SECONDS, time.monotonic)
                raise
        elif "redis rights" in self._daemon.health.warnings:
            await self._look_at_rights()

    async def _look_at_rights(self) -> None:
        config = self._daemon.config
        if not _names_a_user(config.redis.url):
            return
        rights = await missing_rights(self._daemon.client, config.redis, config.streams)
        lacking = " ".join([*rights.keys, *rights.commands])
        why = f"this Redis user lacks {lacking}; give it: ACL SETUSER <user> {lacking}"
        self._warn("redis rights", why if lacking else "", "redis_rights_missing")

    async def _look_at_settings(self) -> None:
        redis = self._daemon.config.redis
        servers = await read_server_settings(
            self._daemon.client, redis, ask_config=not _names_a_user(redis.url)
        )
        findings = [str(finding) for server in servers for finding in judge(server)]
        self._warn("redis settings", "; ".join(findings), "redis_settings_unsafe")

    async def _look_at_lanes(self) -> None:
        config = self._daemon.config
        found = []
        for stream in config.streams:
            await self._lanes.remember(stream, config.channels)
            left = 0
            for channel, waiting in (await self._lanes.waiting(stream)).items():
                if channel in config.channels or not sum(waiting):
                    continue
                left += sum(waiting)
                found.append(
                    f"{sum(waiting)} notifications wait in {stream} for {channel}, which is no channel any more; "
                    f"add it to [channels], or make dead letters of them: notifier lanes drain {channel}"
                )
            metrics.ABANDONED.labels(stream).set(left)
        self._warn("lanes", "; ".join(found), "lanes_without_channel")

    async def _look_at_streams(self) -> None:
        config = self._daemon.config
        found = []
        for stream in config.streams:
            ids = await read_ids(self._daemon.client, config.redis, stream)
            if ids is not None:
                faults = judge_ids(ids, retention_seconds=config.intake.retention_seconds)
                found += [f"{each.what}; {each.fix}" for each in faults]
        self._warn("event streams", "; ".join(found), "event_streams_hindered")

    async def _look_at_dead_letters(self) -> None:
        limit = self._daemon.config.dead_letters.warn_above
        found = []
        for stream in self._daemon.config.streams:
            kept = await self._daemon.group.length(Keys(stream).dead)
            if limit and kept > limit:
                found.append(
                    f"{kept} dead letters of {stream} wait for somebody, more than {limit} (dead_letters.warn_above); "
                    "see: notifier dlq list, then replay or discard them"
                )
        self._warn("dead letters", "; ".join(found), "many_dead_letters")

    def _warn(self, part: str, why: str, event: str) -> None:
        health = self._daemon.health
        begins = part not in health.warnings
        health.warn(part, why or None)
        # The counts in it change all the time; the log tells once that there is something.
        if why and begins:
            log.warning(event, reason=why)


def _names_a_user(url: str) -> bool:
    """Tell whether a URL logs in as a user of its own: one of few rights, as a rule, whose refusals the server would note."""
    return bool(urlsplit(url).username)
