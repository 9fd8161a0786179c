"""Build the stages of a process from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime

import structlog

from notifier.daemon.channels import Channels
from notifier.daemon.components import Daemon
from notifier.daemon.loops import Loop
from notifier.errors import EncodingError, StoreError
from notifier.escalation.policy import Matrix
from notifier.events.times import utc_now
from notifier.pipeline.audit_trail import AuditTrail
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.intake import Intake
from notifier.pipeline.recorder import Recorder
from notifier.pipeline.stage import run_steps

_SCHEMA_SECONDS = 10.0
"""Deliveries begin after this at the latest."""

log = structlog.get_logger(__name__)


def add_intake(daemon: Daemon) -> None:
    """Add the first stage of every event stream."""
    config = daemon.config
    for stream in config.streams:
        intake = Intake(
            daemon.group,
            stream,
            catalogue=daemon.snapshot.catalogue,
            masking=daemon.snapshot.masking,
            settings=config.intake,
            redis_settings=config.redis,
            now=lambda: _latest(daemon),
            signers=daemon.snapshot.signers,
            spans=daemon.spans,
        )
        daemon.intakes.append(intake)
        daemon.working.append(_loop(daemon, intake.step, f"intake {stream}"))


def _latest(daemon: Daemon) -> datetime:
    """Return what time it is by the clock that is ahead: an entry's time is to be believed unless all say that it lies ahead."""
    return max(utc_now(), daemon.clock.now())


def add_delivery(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Add the second stage of every channel and event stream."""
    hop_batchers = {stream: HopBatcher(daemon.group) for stream in daemon.config.streams}
    daemon.serving += [
        Loop(f"outcomes {stream}", hop_batcher.run)
        for stream, hop_batcher in hop_batchers.items()
    ]
    channels = Channels(daemon, hop_batchers)
    stack.push_async_callback(channels.close)
    daemon.channels = channels
    daemon.serving.append(Loop("pauses", channels.follow_pauses))


async def add_recorder(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Add the third stage; raises SchemaError when the database is older than the code."""
    config = daemon.config
    for number, stream in enumerate(config.streams):
        # Each recorder has a connection of its own: transactions of two on one connection would undo each other.
        store = AuditTrail(
            config.database.url,
            connect_timeout_seconds=config.database.connect_timeout_seconds,
            statement_timeout_seconds=config.database.statement_timeout_seconds,
        )
        stack.push_async_callback(store.close)
        if number == 0:
            await _require_schema(store)
        recorder = Recorder(
            daemon.group,
            stream,
            store=store,
            leases=daemon.leases,
            settings=config.recorder,
            redis_settings=config.redis,
            looks=lambda since: _matrix(daemon).first_looks(since),
            now=utc_now,
            spans=daemon.spans,
        )
        daemon.recorders.append(recorder)
        daemon.expect_recording(f"recorder {stream}")
        daemon.working.append(_loop(daemon, recorder.step, f"recorder {stream}"))


def _matrix(daemon: Daemon) -> Matrix:
    return Matrix.of(daemon.config.escalation, daemon.config.business_hours)


async def _require_schema(store: AuditTrail) -> None:
    try:
        async with asyncio.timeout(_SCHEMA_SECONDS):
            await store.open()
            await store.check_schema()
    except TimeoutError:
        log.warning("database_away", reason=f"no answer within {_SCHEMA_SECONDS:g} s")
    except EncodingError:
        raise  # waiting helps as little as with an older schema
    except StoreError as exc:
        # Deliveries go on without Postgres; outcomes wait in Redis.
        log.warning("database_away", reason=str(exc))


def _loop(daemon: Daemon, step: Callable[[], Awaitable[object]], part: str) -> Loop:
    daemon.health.expect(part)
    return Loop(
        part, lambda: run_steps(step, part=part, stop=daemon.stop, health=daemon.health)
    )
