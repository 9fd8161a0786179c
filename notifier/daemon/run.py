"""Start the daemon, run it until told to stop, and drain."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets as random_source
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import structlog

from notifier.config import Config, mask_url
from notifier.daemon.actions import add_actions
from notifier.daemon.housekeeping import housekeeping, read_streams
from notifier.daemon.inspection import Inspector
from notifier.daemon.listeners import add_listeners
from notifier.daemon.observing import start_series
from notifier.daemon.parts import Daemon, Loop
from notifier.daemon.presence import presence
from notifier.daemon.reload import Reloader
from notifier.daemon.snapshot import Blueprint, Snapshot
from notifier.daemon.supervisor import Supervisor
from notifier.daemon.wiring import add_delivery, add_intake, add_recorder
from notifier.errors import NotifierError, UnreachableError
from notifier.streams.connection import close, connect
from notifier.streams.group import ConsumerGroup
from notifier.streams.leases import Leases
from notifier.telemetry import logs
from notifier.telemetry.spans import Spans, open_spans

STAGES = frozenset({"intake", "delivery", "recorder"})

_YOUNG_OBJECTS = 10_000
"""New objects from which the garbage collector looks for cycles; Python's own 700 make a tenth of the daemon's work."""

log = structlog.get_logger(__name__)


class NoSuchStageError(NotifierError):
    """The process is to do something that there is not."""

    exit_code = 2


def run(
    load: Callable[[], Config],
    env: Mapping[str, str],
    *,
    instance: str,
    stages: frozenset[str],
) -> int:
    """Run the stages until SIGTERM or SIGINT, then drain; returns the exit code.

    Args:
        load: Reads the settings, at start and again for each reload (SIGHUP).
        env: Usually os.environ.
        instance: Name of this process.
        stages: What it does.

    Raises:
        NoSuchStageError: A stage is unknown, or there is none.
        ConfigError: A secret, a card or a listener's address is unusable, a route names no card,
            OpenTelemetry is wanted and missing.
        SchemaError: The database is older than the code.
    """
    unknown = stages - STAGES
    if unknown or not stages:
        raise NoSuchStageError(
            f"--stages: {', '.join(sorted(unknown)) or 'nothing'} given; choose from {', '.join(sorted(STAGES))}"
        )
    # A reload asked for before there is anything to reload must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    blueprint = Blueprint(load, env, clock=time.monotonic)
    snapshot = blueprint.build(None)
    logs.configure(snapshot.config.logging)
    start_series(snapshot.config)
    spans = open_spans(snapshot.config.tracing, instance=instance)
    try:
        asyncio.run(_main(snapshot, blueprint, instance, stages, spans))
    except* NotifierError as group:
        raise _first(group) from None
    return 0


def _first(group: BaseExceptionGroup[NotifierError]) -> NotifierError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, NotifierError)  # noqa: S101 - except* has sorted them
    return error


async def _main(
    snapshot: Snapshot,
    blueprint: Blueprint,
    instance: str,
    stages: frozenset[str],
    spans: Spans | None,
) -> None:
    config = snapshot.config
    client = connect(config.redis)
    # A consumer name is never used twice: whoever shares it would see the other's entries as its own.
    consumer = f"{instance}.{os.getpid()}.{random_source.token_hex(3)}"
    group = ConsumerGroup(client, config.redis, consumer)
    leases = Leases(group, lease_seconds=config.redis.lease_seconds)
    daemon = Daemon(snapshot, instance, stages, asyncio.Event(), client, group, leases, spans)
    supervisor = Supervisor(os.environ)
    daemon.before_reload.append(supervisor.reloading)
    daemon.after_reload.append(supervisor.ready)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close, client)
        if spans is not None:
            spans.watch(lambda why: daemon.health.warns("tracing", why))
            stack.push_async_callback(spans.close)
        if "intake" in stages:
            add_intake(daemon)
        if "delivery" in stages:
            add_delivery(daemon, stack)
        if "recorder" in stages:
            await add_recorder(daemon, stack)
            add_actions(daemon, stack)
        await add_listeners(daemon, stack)
        reloader = Reloader(daemon, blueprint)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.request)
        inspector = Inspector(daemon)
        daemon.after_reload.append(inspector.request)
        daemon.serving += [
            leases.run,
            inspector.run,
            lambda: housekeeping(daemon),
            lambda: presence(daemon),
            reloader.run,
            lambda: supervisor.watch(daemon.health),
        ]
        log.info(
            "daemon_started",
            instance=instance,
            stages=sorted(stages),
            redis=mask_url(config.redis.url),
        )
        await _serve(daemon, supervisor)
        log.info("daemon_stopped", instance=instance)


async def _serve(daemon: Daemon, supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, daemon.stop.set)
    async with asyncio.TaskGroup() as tasks:
        serving = [tasks.create_task(_once(part)) for part in daemon.serving]
        working = {tasks.create_task(_once(part)) for part in daemon.working}
        if daemon.channels is not None:
            daemon.channels.start(tasks)
        supervisor.ready()
        _spare_what_stays()
        await daemon.stop.wait()
        supervisor.stopping()
        if daemon.channels is not None:
            working |= daemon.channels.stop()
        log.info(
            "daemon_stopping", stop_timeout_seconds=daemon.config.delivery.stop_timeout_seconds
        )
        if working:
            _, late = await asyncio.wait(
                working, timeout=daemon.config.delivery.stop_timeout_seconds
            )
            for task in late:
                task.cancel()
            if late:
                log.warning(
                    "stop_timeout_passed",
                    fix="what was in flight is taken over and may be posted twice",
                )
                await asyncio.wait(late)
        await _leave(daemon)
        for task in serving:
            task.cancel()


def _spare_what_stays() -> None:
    """Let the garbage collector pass over what was made at start, and look less often: a delivery makes hardly any cycles."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def _once(part: Loop) -> None:
    await part()


async def _leave(daemon: Daemon) -> None:
    """Hand over what is still in hand and take this consumer off the streams."""
    try:
        async with asyncio.timeout(5):
            await daemon.leases.give_up_all()
            for stream in read_streams(daemon):
                await daemon.group.leave(stream)
    except (UnreachableError, TimeoutError) as exc:
        log.warning(
            "not_signed_off",
            reason=str(exc) or "timed out",
            fix="none needed: leases run out by themselves",
        )
