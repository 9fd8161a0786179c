"""Start the daemon, run it until told to stop, and drain."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import secrets as random_source
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import structlog

from notifier.broker.client import close, connect
from notifier.broker.group import ConsumerGroup
from notifier.broker.leases import Leases
from notifier.config import Config, mask_url
from notifier.daemon.actions import add_actions
from notifier.daemon.clock import LinkClock
from notifier.daemon.components import Daemon
from notifier.daemon.housekeeping import housekeeping, read_streams
from notifier.daemon.inspection import BackgroundChecks
from notifier.daemon.listeners import add_listeners
from notifier.daemon.loops import LastResort, Loop, Loops, kept
from notifier.daemon.observing import start_series
from notifier.daemon.presence import presence
from notifier.daemon.reload import Reloader
from notifier.daemon.snapshot import Blueprint, Snapshot
from notifier.daemon.systemd import SystemdNotifier
from notifier.daemon.wiring import add_delivery, add_intake, add_recorder
from notifier.errors import InternalError, NotifierError, UnreachableError
from notifier.telemetry import logs
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Spans, open_spans

STAGES = frozenset({"intake", "delivery", "recorder"})

_DESCRIPTORS = 65_536
"""Files and connections that the daemon may have, if the machine lets it."""
_YOUNG_OBJECTS = 50_000
"""New objects from which the garbage collector looks for cycles; Python's own 700 make a tenth of the daemon's work."""

_LEAVE_SECONDS = 5.0
_END_SECONDS = 5.0
"""How long what was cancelled may take to end."""
_LAST_SECONDS = 15.0
"""How long after stop_timeout_seconds the process may still be there, whatever hangs."""

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
        InternalError: A loop ended that nobody asked to end, or something failed unforeseen; the log says where.
    """
    unknown = stages - STAGES
    if unknown or not stages:
        raise NoSuchStageError(
            f"--stages: {', '.join(sorted(unknown)) or 'nothing'} given; choose from {', '.join(sorted(STAGES))}"
        )
    # A reload asked for before there is anything to reload must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _allow_descriptors()
    clock = LinkClock()
    blueprint = Blueprint(load, env, clock=time.monotonic, now=clock.time)
    snapshot = blueprint.build(None)
    logs.configure(snapshot.config.logging)
    start_series(snapshot.config)
    spans = open_spans(snapshot.config.tracing, instance=instance)
    asyncio.run(_main(snapshot, blueprint, instance, stages, spans, clock))
    return 0


def _allow_descriptors() -> None:
    """Raise the usual 1,024 of a shell or of systemd: listeners, posts and servers together may need more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _main(
    snapshot: Snapshot,
    blueprint: Blueprint,
    instance: str,
    stages: frozenset[str],
    spans: Spans | None,
    clock: LinkClock,
) -> None:
    asyncio.get_running_loop().set_exception_handler(_log_stray)
    try:
        await _started(snapshot, blueprint, instance, stages, spans, clock)
    except NotifierError:
        raise
    except Exception as exc:
        raise InternalError(f"the daemon {log_unforeseen('daemon_failed', exc)}") from None


def _log_stray(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what a callback or a task that nobody waits for raised; asyncio itself would show its arguments."""
    exc = context.get("exception")
    if exc is None:
        log.warning(
            "event_loop_warned", said=str(context.get("message", "")).partition("\n")[0]
        )
    else:
        log_unforeseen("callback_failed", exc)


async def _started(
    snapshot: Snapshot,
    blueprint: Blueprint,
    instance: str,
    stages: frozenset[str],
    spans: Spans | None,
    clock: LinkClock,
) -> None:
    config = snapshot.config
    client = connect(config.redis)
    # A consumer name is never used twice: whoever shares it would see the other's entries as its own.
    consumer = f"{instance}.{os.getpid()}.{random_source.token_hex(3)}"
    group = ConsumerGroup(client, config.redis, consumer)
    leases = Leases(group, lease_seconds=config.redis.lease_seconds)
    daemon = Daemon(
        snapshot, instance, stages, asyncio.Event(), client, group, leases, spans, clock
    )
    group.refusals.listener = partial(_key_refused, daemon)
    supervisor = SystemdNotifier(os.environ)
    daemon.before_reload.append(supervisor.reloading)
    daemon.after_reload.append(supervisor.ready)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close, client)
        await clock.measure(client, config.redis)
        if spans is not None:
            spans.watch(lambda why: daemon.health.warn("tracing", why))
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
        inspector = BackgroundChecks(daemon)
        daemon.after_reload.append(inspector.request)
        daemon.serving += [
            Loop("leases", leases.run),
            Loop("inspection", inspector.run),
            Loop("housekeeping", lambda: housekeeping(daemon)),
            Loop("clock", lambda: clock.follow(client, config.redis)),
            Loop("presence", lambda: presence(daemon)),
            Loop("reload", reloader.run),
        ]
        if supervisor.watches:
            daemon.serving.append(Loop("watchdog", lambda: supervisor.watch(daemon.health)))
        log.info(
            "daemon_started",
            instance=instance,
            stages=sorted(stages),
            redis=mask_url(config.redis.url),
        )
        if config.stop_fault:
            log.warning("stop_cuts_posts", reason=config.stop_fault)
        await _serve(daemon, supervisor)
        log.info("daemon_stopped", instance=instance)


async def _serve(daemon: Daemon, supervisor: SystemdNotifier) -> None:
    """Run all loops until `stop`, then finish what is in flight; raises InternalError when a loop ended unasked."""
    loops, last_resort = Loops(daemon.health, daemon.stop), LastResort()
    _stop_on_signals(daemon, last_resort)
    try:
        await _run(daemon, supervisor, loops, last_resort)
    finally:
        last_resort.arm(_LAST_SECONDS)
        await loops.end(seconds=_END_SECONDS)
    if loops.failed is not None:
        raise loops.failed


def _stop_on_signals(daemon: Daemon, last_resort: LastResort) -> None:
    """Stop on SIGTERM and SIGINT, also when the event loop does not run any more: then after the time that a stop may take."""
    loop = asyncio.get_running_loop()

    def stop(_signal: int, _frame: object) -> None:
        last_resort.arm(daemon.config.delivery.stop_timeout_seconds + _LAST_SECONDS)
        with suppress(RuntimeError):  # it has ended already
            loop.call_soon_threadsafe(daemon.stop.set)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)


async def _run(
    daemon: Daemon, supervisor: SystemdNotifier, loops: Loops, last_resort: LastResort
) -> None:
    for loop in daemon.serving:
        again = Loop(loop.name, partial(kept, loop, daemon.health))
        loops.start(again, may_end=daemon.stop.is_set)
    working = {loops.start(loop, may_end=daemon.stop.is_set) for loop in daemon.working}
    if daemon.channels is not None:
        daemon.channels.start(loops)
    supervisor.ready()
    _spare_what_stays()
    await daemon.stop.wait()
    supervisor.stopping()
    if daemon.channels is not None:
        working |= daemon.channels.stop()
    seconds = daemon.config.delivery.stop_timeout_seconds
    last_resort.arm(seconds + _LAST_SECONDS)
    log.info("daemon_stopping", stop_timeout_seconds=seconds)
    if working:
        _, late = await asyncio.wait(working, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning(
                "stop_timeout_passed",
                fix="what was in flight is taken over and may be posted twice",
            )
            await asyncio.wait(late, timeout=_END_SECONDS)
    await _leave(daemon)


def _spare_what_stays() -> None:
    """Let the garbage collector pass over what was made at start, and look less often: a delivery makes hardly any cycles."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def _leave(daemon: Daemon) -> None:
    """Hand over what is still in hand and take this consumer off the streams."""
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await daemon.leases.give_up_all()
            for stream in read_streams(daemon):
                await daemon.group.leave(stream)
    except (UnreachableError, TimeoutError) as exc:
        log.warning(
            "not_signed_off",
            reason=str(exc) or "timed out",
            fix="none needed: leases run out by themselves",
        )
    except Exception as exc:
        log_unforeseen("not_signed_off", exc)


def _key_refused(daemon: Daemon, key: str, why: str | None) -> None:
    daemon.health.warn(f"key {key}", why)
    if why is None:
        log.info("redis_key_works", key=key)
    else:
        log.error("redis_key_refused", key=key, reason=why)
