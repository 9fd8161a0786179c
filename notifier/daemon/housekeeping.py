"""Keep streams short and consumer groups free of the dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import structlog

from notifier.broker.keys import Keys, accepted_stream
from notifier.daemon.components import Daemon
from notifier.errors import UnreachableError
from notifier.ops.doctor.redis_vitals import clock_ahead

_HOUSEKEEPING_SECONDS = 60.0
_CONSUMER_FORGOTTEN_SECONDS = 3600.0
_REFUSAL_FORGOTTEN_SECONDS = 300.0
"""An entry that Redis refuses is tried again after a lease, which is much shorter."""

log = structlog.get_logger(__name__)


async def housekeeping(daemon: Daemon) -> None:
    """Trim event streams by age and remove consumers of processes that are gone."""
    while True:
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
        daemon.group.refusals.forget_older(
            max(_REFUSAL_FORGOTTEN_SECONDS, 3 * daemon.config.redis.lease_seconds)
        )
        if "intake" in daemon.stages:
            for stream in daemon.config.streams:
                await _tidied(stream, _trim(daemon, stream))
        for stream in read_streams(daemon):
            forgetting = daemon.group.forget_consumers(
                stream, idle_seconds=_CONSUMER_FORGOTTEN_SECONDS
            )
            await _tidied(stream, forgetting)


async def _tidied(stream: str, work: Awaitable[object]) -> None:
    """Let no stream hold up the others."""
    try:
        await work
    except UnreachableError as exc:
        log.warning("housekeeping_failed", stream=stream, reason=str(exc))


async def _trim(daemon: Daemon, stream: str) -> None:
    # Redis' clock made the ids that the age is counted by: a wrong clock of this machine must trim nothing.
    ahead = await clock_ahead(daemon.client, daemon.config.redis, now=time.time)
    now = time.time() + (ahead or 0.0)
    cutoff = int((now - daemon.config.intake.retention_seconds) * 1000)
    trimmed = await daemon.group.trim(stream, older_than_ms=cutoff)
    if trimmed:
        log.info("events_trimmed", stream=stream, count=trimmed)


def read_streams(daemon: Daemon) -> list[str]:
    """Return every stream that this process reads as a consumer."""
    streams: list[str] = []
    if "intake" in daemon.stages:
        streams += daemon.config.streams
    if "recorder" in daemon.stages:
        streams += [Keys(stream).outcomes for stream in daemon.config.streams]
        streams.append(accepted_stream(daemon.config.redis.group))
    for lane in daemon.lanes:
        streams += lane.lanes
    return streams
