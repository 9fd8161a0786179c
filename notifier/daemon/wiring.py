"""Build the stages of a process from its settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from notifier.cards import CardPainter
from notifier.daemon.parts import Daemon, Loop
from notifier.errors import StoreError, UnreachableError
from notifier.masking import Masking
from notifier.routing import Catalogue
from notifier.stages.channel import ChannelGate
from notifier.stages.delivery import ChannelDelivery, DeliveryParts
from notifier.stages.intake import Intake
from notifier.stages.recorder import Recorder
from notifier.stages.settler import Settler
from notifier.stages.stage import keep_turning
from notifier.store.store import Store
from notifier.teams.sender import WebhookSender, utc_now

_PAUSE_POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


def add_intake(daemon: Daemon) -> None:
    """Add the first stage of every event stream."""
    config = daemon.config
    catalogue = Catalogue(config.routes, config.channels)
    masking = Masking.of(config.masking.fields, config.masking.exempt)
    for stream in config.streams:
        intake = Intake(
            daemon.group,
            stream,
            catalogue=catalogue,
            masking=masking,
            settings=config.intake,
            redis_settings=config.redis,
            now=utc_now,
        )
        daemon.working.append(_turning(daemon, intake.turn, f"intake {stream}"))


def add_delivery(daemon: Daemon, painter: CardPainter, stack: AsyncExitStack) -> None:
    """Add the second stage of every channel and event stream."""
    config, secrets = daemon.config, daemon.secrets
    parts = DeliveryParts(
        daemon.group,
        daemon.leases,
        painter,
        config.delivery,
        config.retry,
        config.redis,
        daemon.health,
        utc_now,
    )
    hmac = secrets.hmac_key.get_secret_value() if secrets.hmac_key else None
    if hmac is None:
        log.warning(
            "posts_unsigned",
            reason="TEAMS_HMAC_SECRET_KEY is not set",
            fix="set it to `openssl rand -hex 32`",
        )
    settlers = {stream: Settler(daemon.group) for stream in config.streams}
    daemon.serving += [settler.run for settler in settlers.values()]
    for channel in config.channels:
        gate = ChannelGate(
            channel,
            daemon.group,
            rate_limit=config.rate_limit,
            breaker=config.breaker,
            stop=daemon.stop,
            clock=time.monotonic,
        )
        daemon.gates.append(gate)
        url = secrets.webhooks.get(channel)
        sender: WebhookSender | None = None
        if url is None:
            log.warning(
                "channel_without_webhook",
                channel=channel,
                fix=f"set TEAMS_WEBHOOK_{channel.upper()}",
            )
        else:
            sender = WebhookSender(
                url.get_secret_value(),
                config.http,
                hmac_secret=hmac,
                channels=len(config.channels),
            )
            stack.push_async_callback(sender.close)
        for stream in config.streams:
            lane = ChannelDelivery(stream, gate, sender, settlers[stream], parts)
            daemon.lanes.append(lane)
            daemon.working.append(_delivering(daemon, lane, f"delivery {stream} {channel}"))
    daemon.serving.append(lambda: _follow_pauses(daemon))


async def add_recorder(daemon: Daemon, stack: AsyncExitStack) -> None:
    """Add the third stage; raises SchemaError when the database is older than the code."""
    config = daemon.config
    store = Store(
        config.database.url,
        connect_timeout_seconds=config.database.connect_timeout_seconds,
        statement_timeout_seconds=config.database.statement_timeout_seconds,
    )
    stack.push_async_callback(store.close)
    try:
        await store.open()
        await store.check_schema()
    except StoreError as exc:
        # Deliveries go on without Postgres; outcomes wait in Redis.
        log.warning("database_away", reason=str(exc))
    for stream in config.streams:
        recorder = Recorder(
            daemon.group,
            stream,
            store=store,
            leases=daemon.leases,
            settings=config.recorder,
            redis_settings=config.redis,
            now=utc_now,
        )
        daemon.working.append(_turning(daemon, recorder.turn, f"recorder {stream}"))


def _turning(daemon: Daemon, turn: Callable[[], Awaitable[object]], part: str) -> Loop:
    daemon.health.expect(part)
    return lambda: keep_turning(turn, part=part, stop=daemon.stop, health=daemon.health)


def _delivering(daemon: Daemon, lane: ChannelDelivery, part: str) -> Loop:
    daemon.health.expect(part)

    async def loop() -> None:
        try:
            await keep_turning(lane.turn, part=part, stop=daemon.stop, health=daemon.health)
            await lane.drain()
        finally:
            lane.abandon()

    return loop


async def _follow_pauses(daemon: Daemon) -> None:
    """Learn of the pauses that other processes were asked for."""
    gates = daemon.gates
    while True:
        try:
            for gate, seconds in zip(
                gates, await daemon.group.pauses([g.channel for g in gates]), strict=True
            ):
                if seconds:
                    gate.paused_for(seconds)
        except UnreachableError:
            pass  # the stages report it
        await asyncio.sleep(_PAUSE_POLL_SECONDS)
