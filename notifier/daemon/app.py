"""Start the daemon, run it until it is stopped, and drain."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import secrets as random_source
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.leases import Leases
from notifier.config import Config, mask_url
from notifier.config.models import DatabaseSettings
from notifier.daemon.action_links import LinkClock
from notifier.daemon.components import Components, build_components, read_streams
from notifier.daemon.dependencies import CurrentSnapshot, Dependencies
from notifier.daemon.gauges import start_series
from notifier.daemon.listeners import open_admin_listener, open_public_listener
from notifier.daemon.loops import LastResort, Loop, Loops, keep_running
from notifier.daemon.periodic import BackgroundChecks, keep_house, show_presence
from notifier.daemon.reload import Reloader
from notifier.daemon.snapshot import Blueprint, Snapshot
from notifier.daemon.systemd import SystemdNotifier
from notifier.errors import ExitCode, InternalError, NotifierError, UnreachableError
from notifier.store.database import Database
from notifier.store.pool import Pool
from notifier.telemetry import logs
from notifier.telemetry.health import Health
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Spans, open_spans

STAGES = frozenset({"intake", "delivery", "recorder"})

_DESCRIPTORS = 65_536
"""Files and connections that the daemon may have, if the machine allows it."""
_YOUNG_OBJECTS = 50_000
"""New objects per garbage collection; with Python's own 700 it took a tenth of the daemon's time."""

_LEAVE_SECONDS = 5.0
_END_SECONDS = 5.0
"""How long cancelled tasks may take to end."""
_LAST_SECONDS = 15.0
"""How long after stop_timeout_seconds the process may still run, even if something hangs."""

log = structlog.get_logger(__name__)


class NoSuchStageError(NotifierError):
    """A stage was named that does not exist, or none was named."""

    exit_code = ExitCode.USAGE


_READ_CONNECT_SECONDS = 2.0
_READ_STATEMENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that is prepared before the event loop runs."""

    snapshot: Snapshot
    blueprint: Blueprint
    instance: str
    stages: frozenset[str]
    clock: LinkClock
    spans: Spans | None = None


def run(
    load: Callable[[], Config],
    env: Mapping[str, str],
    *,
    instance: str,
    stages: frozenset[str],
) -> int:
    """Run the stages until SIGTERM or SIGINT, then drain; returns 0.

    Args:
        load: Reads the settings, at start and again for each reload (SIGHUP).
        env: Usually os.environ.
        instance: Name of this process.
        stages: The stages that it runs.

    Raises:
        NoSuchStageError: A stage is unknown, or there is none.
        ConfigError: A secret, a card or a listener's address is unusable, a route names no card,
            OpenTelemetry is wanted and missing.
        SchemaError: The database is older than the code.
        InternalError: A loop ended unexpectedly, or something failed unforeseen; the log says where.
    """
    unknown = stages - STAGES
    if unknown or not stages:
        raise NoSuchStageError(
            f"--stages: unknown stage {', '.join(sorted(unknown)) or '(none)'}; choose from {', '.join(sorted(STAGES))}"
        )
    # A request for a reload during the start must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _allow_descriptors()
    clock = LinkClock()
    blueprint = Blueprint(load, env, clock=time.monotonic, now=clock.time)
    snapshot = blueprint.build(None)
    logs.configure(snapshot.config.logging)
    start_series(snapshot.config)
    spans = open_spans(snapshot.config.tracing, instance=instance)
    asyncio.run(_main(Launch(snapshot, blueprint, instance, stages, clock, spans)))
    return 0


def _allow_descriptors() -> None:
    """Raise the limit of descriptors: listeners, posts and servers need many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _main(launch: Launch) -> None:
    asyncio.get_running_loop().set_exception_handler(_log_stray)
    try:
        await _start(launch)
    except NotifierError:
        raise
    except Exception as exc:
        raise InternalError(f"the daemon {log_unforeseen('daemon_failed', exc)}") from None


def _log_stray(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log the failure of a callback or an unobserved task without its data."""
    exc = context.get("exception")
    if exc is None:
        log.warning(
            "event_loop_warned", said=str(context.get("message", "")).partition("\n")[0]
        )
    else:
        log_unforeseen("callback_failed", exc)


async def _start(launch: Launch) -> None:
    async with AsyncExitStack() as stack:
        dependencies = await _connect(launch, stack)
        config = dependencies.config
        components = await build_components(dependencies, stack)
        channels, systemd = components.channels, SystemdNotifier(os.environ)
        serving = list(components.serving)
        use: list[Callable[[Snapshot], None]] = [components.use]
        if config.admin.bind:
            serving.append(await open_admin_listener(dependencies, channels, stack))
        if config.public.bind:
            loop, use_public = await open_public_listener(dependencies, stack)
            serving.append(loop)
            use.append(use_public)
        checks = BackgroundChecks(dependencies)
        reloader = Reloader(
            dependencies.current,
            launch.blueprint,
            dependencies.health,
            use=use,
            before=systemd.reloading,
            after=[systemd.ready, checks.request],
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.request)
        serving += [
            Loop("leases", dependencies.leases.run),
            Loop("inspection", checks.run),
            Loop("housekeeping", lambda: keep_house(dependencies, channels)),
            Loop("clock", lambda: launch.clock.run(dependencies.group)),
            Loop("presence", lambda: show_presence(dependencies, channels)),
            Loop("reload", reloader.run),
        ]
        if systemd.watches:
            serving.append(Loop("watchdog", lambda: systemd.watch(dependencies.health)))
        _log_start(dependencies)
        await _serve(dependencies, components, serving, systemd)
        log.info("daemon_stopped", instance=launch.instance)


def _log_start(dependencies: Dependencies) -> None:
    log.info(
        "daemon_started",
        instance=dependencies.instance,
        stages=sorted(dependencies.stages),
        redis=mask_url(dependencies.config.redis.url),
    )
    if fault := dependencies.config.stop_fault:
        log.warning("stop_cuts_posts", reason=fault)


async def _connect(launch: Launch, stack: AsyncExitStack) -> Dependencies:
    """Connect to Redis and make what the components share; `stack` closes it."""
    settings, health = launch.snapshot.config.redis, Health()
    client = connect(settings)
    stack.push_async_callback(close, client)
    # Never use a consumer name twice: its new owner would see the other's entries as its own.
    consumer = f"{launch.instance}.{os.getpid()}.{random_source.token_hex(3)}"
    group = Consumer(client, settings, consumer)
    group.refused_keys.listener = partial(_report_refused_key, health)
    await launch.clock.measure(group)
    pool = Pool(_read_database(launch.snapshot.config.database))
    stack.push_async_callback(pool.close)
    if launch.spans is not None:
        launch.spans.watch(partial(health.warn, "tracing"))
        stack.push_async_callback(launch.spans.close)
    return Dependencies(
        instance=launch.instance,
        stages=launch.stages,
        current=CurrentSnapshot(launch.snapshot),
        group=group,
        leases=Leases(group, lease_seconds=settings.lease_seconds),
        health=health,
        clock=launch.clock,
        pool=pool,
        stop=asyncio.Event(),
        spans=launch.spans,
    )


def _read_database(settings: DatabaseSettings) -> Database:
    """Return the database for pages and metrics, which do not wait for it."""
    connect_seconds = min(_READ_CONNECT_SECONDS, settings.connect_timeout_seconds)
    return Database(settings.url, connect_seconds, _READ_STATEMENT_SECONDS)


async def _serve(
    dependencies: Dependencies,
    components: Components,
    serving: Sequence[Loop],
    systemd: SystemdNotifier,
) -> None:
    """Run all loops until `stop`, then finish deliveries in flight.

    Raises:
        InternalError: A loop ended unexpectedly.
    """
    health, stop = dependencies.health, dependencies.stop
    loops, last_resort = Loops(health, stop), LastResort()
    _stop_on_signals(dependencies, last_resort)
    try:
        for loop in serving:
            again = Loop(loop.name, partial(keep_running, loop, health))
            loops.start(again, may_end=stop.is_set)
        working = {loops.start(loop, may_end=stop.is_set) for loop in components.working}
        components.channels.start(loops)
        systemd.ready()
        _relax_garbage_collector()
        await stop.wait()
        systemd.stopping()
        working |= components.channels.stop()
        seconds = dependencies.config.delivery.stop_timeout_seconds
        last_resort.arm(seconds + _LAST_SECONDS)
        log.info("daemon_stopping", stop_timeout_seconds=seconds)
        if working:
            await _drain(working, seconds)
        await _leave(dependencies, components)
    finally:
        last_resort.arm(_LAST_SECONDS)
        await loops.end(seconds=_END_SECONDS)
    if loops.failed is not None:
        raise loops.failed


async def _drain(working: set[asyncio.Task[None]], seconds: float) -> None:
    _, late = await asyncio.wait(working, timeout=seconds)
    for task in late:
        task.cancel()
    if late:
        log.warning(
            "stop_timeout_passed",
            fix="other processes claim the deliveries in flight, which may be posted twice",
        )
        await asyncio.wait(late, timeout=_END_SECONDS)


def _stop_on_signals(dependencies: Dependencies, last_resort: LastResort) -> None:
    """Stop on SIGTERM and SIGINT, also if the event loop hangs."""
    loop = asyncio.get_running_loop()

    def stop(_signal: int, _frame: object) -> None:
        last_resort.arm(dependencies.config.delivery.stop_timeout_seconds + _LAST_SECONDS)
        with suppress(RuntimeError):  # it has ended already
            loop.call_soon_threadsafe(dependencies.stop.set)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)


def _relax_garbage_collector() -> None:
    """Collect garbage less often: a delivery makes few cycles."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def _leave(dependencies: Dependencies, components: Components) -> None:
    """Give up all leases and remove this consumer from its streams."""
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await dependencies.leases.give_up_all()
            for stream in read_streams(dependencies, components.channels):
                await dependencies.group.leave(stream)
    except (UnreachableError, TimeoutError) as exc:
        log.warning(
            "not_signed_off",
            reason=str(exc) or "timed out",
            fix="none needed: leases expire",
        )
    except Exception as exc:
        log_unforeseen("not_signed_off", exc)


def _report_refused_key(health: Health, key: str, reason: str | None) -> None:
    health.warn(f"key {key}", reason)
    if reason is None:
        log.info("redis_key_works", key=key)
    else:
        log.error("redis_key_refused", key=key, reason=reason)
