"""The daemon: wires the stages together, runs them until told to stop, and drains."""

from __future__ import annotations

import asyncio
import os
import secrets as random_source
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from notifier import assets
from notifier.cardcheck import refuse_broken
from notifier.cards import ActionLink, CardPainter, check_routes, load_cards
from notifier.config import Config, mask_url
from notifier.errors import ConfigError, NotifierError, StoreError, UnreachableError
from notifier.masking import Masking
from notifier.routing import Catalogue
from notifier.secrets import Secrets, load_secrets
from notifier.signing import ActionClaim, action_token
from notifier.stages.channel import ChannelGate
from notifier.stages.delivery import ChannelDelivery, DeliveryParts
from notifier.stages.intake import Intake
from notifier.stages.recorder import Recorder
from notifier.stages.settler import Settler
from notifier.stages.stage import keep_turning
from notifier.store.actions import NotificationFacts, PostgresActions
from notifier.store.store import Store
from notifier.streams.actions import publish_action
from notifier.streams.group import Client, ConsumerGroup, connect
from notifier.streams.keys import Keys
from notifier.streams.leases import Leases
from notifier.teams.sender import WebhookSender, utc_now
from notifier.telemetry import logs
from notifier.telemetry.health import Health
from notifier.web.admin import create_admin_app
from notifier.web.listener import listen
from notifier.web.public import create_public_app

STAGES = frozenset({"intake", "delivery", "recorder"})

_HOUSEKEEPING_SECONDS = 60.0
_PAUSE_POLL_SECONDS = 1.0
_CONSUMER_FORGOTTEN_SECONDS = 3600.0

log = structlog.get_logger(__name__)

Loop = Callable[[], Awaitable[None]]


@dataclass
class Daemon:
    """Everything that one process runs."""

    config: Config
    secrets: Secrets
    instance: str
    stages: frozenset[str]
    stop: asyncio.Event
    client: Client
    group: ConsumerGroup
    leases: Leases
    health: Health = field(default_factory=Health)
    working: list[Loop] = field(default_factory=list)
    """Loops that end by themselves once `stop` is set."""
    serving: list[Loop] = field(default_factory=list)
    """Loops that the working ones need until they have ended; they are cancelled then."""
    lanes: list[ChannelDelivery] = field(default_factory=list)


def run(
    config: Config, env: Mapping[str, str], *, instance: str, stages: frozenset[str]
) -> int:
    """Run the stages until SIGTERM or SIGINT, then drain; returns the exit code.

    Raises:
        ConfigError: A stage is unknown, a secret or a listener's address is unusable.
        CardError: A card template is broken or a route names none.
        SchemaError: The database is older than the code.
    """
    unknown = stages - STAGES
    if unknown or not stages:
        raise ConfigError(
            f"--stages: {', '.join(sorted(unknown)) or 'nothing'} given; choose from {', '.join(sorted(STAGES))}"
        )
    logs.configure(config.logging)
    secrets = load_secrets(config, env)
    directory = Path(config.cards.directory) if config.cards.directory else assets.cards_dir()
    cards = load_cards(directory)
    refuse_broken(directory, config)
    check_routes(config, cards)
    painter = CardPainter(cards, config, _action_link(config, secrets))
    try:
        asyncio.run(_main(config, secrets, painter, instance, stages))
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
    config: Config,
    secrets: Secrets,
    painter: CardPainter,
    instance: str,
    stages: frozenset[str],
) -> None:
    client = connect(config.redis)
    # A consumer name is never used twice: whoever shares it would see the other's entries as its own.
    consumer = f"{instance}.{os.getpid()}.{random_source.token_hex(3)}"
    group = ConsumerGroup(client, config.redis, consumer)
    leases = Leases(group, lease_seconds=config.redis.lease_seconds)
    daemon = Daemon(config, secrets, instance, stages, asyncio.Event(), client, group, leases)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.aclose)
        if "intake" in stages:
            _add_intake(daemon)
        if "delivery" in stages:
            _add_delivery(daemon, painter, stack)
        if "recorder" in stages:
            await _add_recorder(daemon, stack)
        await _add_listeners(daemon, stack)
        daemon.serving += [leases.run, lambda: _housekeeping(daemon)]
        log.info(
            "daemon_started",
            instance=instance,
            stages=sorted(stages),
            redis=mask_url(config.redis.url),
        )
        await _serve(daemon)
        log.info("daemon_stopped", instance=instance)


def _add_intake(daemon: Daemon) -> None:
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


def _add_delivery(daemon: Daemon, painter: CardPainter, stack: AsyncExitStack) -> None:
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
    gates: list[ChannelGate] = []
    for channel in config.channels:
        gate = ChannelGate(
            channel,
            daemon.group,
            rate_limit=config.rate_limit,
            breaker=config.breaker,
            stop=daemon.stop,
            clock=time.monotonic,
        )
        gates.append(gate)
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
    daemon.serving.append(lambda: _follow_pauses(daemon, gates))


async def _add_recorder(daemon: Daemon, stack: AsyncExitStack) -> None:
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


async def _add_listeners(daemon: Daemon, stack: AsyncExitStack) -> None:
    config, secrets = daemon.config, daemon.secrets
    if config.admin.bind:
        app = create_admin_app(daemon.health, instance=daemon.instance)
        await listen(app, config.admin.bind, "admin.bind", stack)
    if config.public.bind:
        if secrets.hmac_key is None:
            raise ConfigError(
                "public.bind: action links need a key; set TEAMS_HMAC_SECRET_KEY to `openssl rand -hex 32`"
            )
        database = config.database
        actions = PostgresActions(
            database.url, connect_timeout_seconds=database.connect_timeout_seconds
        )
        public = create_public_app(
            secrets=[secrets.hmac_key.get_secret_value()],
            actions=actions,
            request_work=lambda *request: _request_work(daemon, *request),
            now=utc_now,
        )
        await listen(public, config.public.bind, "public.bind", stack, shared=True)


async def _request_work(
    daemon: Daemon, claim: ActionClaim, facts: NotificationFacts, who: str, note: str
) -> None:
    fields = {
        "action": claim.action,
        "notification_id": claim.notification_id,
        "event_id": facts.event_id,
        "event_type": facts.event_type,
        "correlation_id": facts.correlation_id,
        "requested_by": who,
        "note": note,
        "requested_at": utc_now().isoformat(timespec="seconds"),
    }
    await publish_action(daemon.client, fields)
    log.info("action_requested", action=claim.action, notification_id=claim.notification_id)


def _action_link(config: Config, secrets: Secrets) -> ActionLink | None:
    key = secrets.hmac_key
    base = config.public.url
    if key is None or not base:
        return None

    def link(notification_id: str, action: str) -> str:
        expires_at = int(time.time() + config.public.link_ttl_seconds)
        token = action_token(
            key.get_secret_value(),
            notification_id=notification_id,
            action=action,
            expires_at=expires_at,
        )
        return f"{base}/a/{token}"

    return link


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


async def _follow_pauses(daemon: Daemon, gates: list[ChannelGate]) -> None:
    """Learn of the pauses that other processes were asked for."""
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


async def _housekeeping(daemon: Daemon) -> None:
    """Trim event streams by age and remove consumers of processes that are gone."""
    while True:
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
        try:
            for stream in daemon.config.streams:
                cutoff = int((time.time() - daemon.config.intake.retention_seconds) * 1000)
                trimmed = (
                    await daemon.group.trim(stream, older_than_ms=cutoff)
                    if "intake" in daemon.stages
                    else 0
                )
                if trimmed:
                    log.info("events_trimmed", stream=stream, count=trimmed)
            for stream in _read_streams(daemon):
                await daemon.group.forget_consumers(
                    stream, idle_seconds=_CONSUMER_FORGOTTEN_SECONDS
                )
        except UnreachableError as exc:
            log.warning("housekeeping_failed", reason=str(exc))


def _read_streams(daemon: Daemon) -> list[str]:
    streams: list[str] = []
    if "intake" in daemon.stages:
        streams += daemon.config.streams
    if "recorder" in daemon.stages:
        streams += [Keys(stream).outcomes for stream in daemon.config.streams]
    for lane in daemon.lanes:
        streams += lane.lanes
    return streams


async def _serve(daemon: Daemon) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, daemon.stop.set)
    async with asyncio.TaskGroup() as tasks:
        serving = [tasks.create_task(_once(part)) for part in daemon.serving]
        working = [tasks.create_task(_once(part)) for part in daemon.working]
        await daemon.stop.wait()
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


async def _once(part: Loop) -> None:
    await part()


async def _leave(daemon: Daemon) -> None:
    """Hand over what is still in hand and take this consumer off the streams."""
    try:
        async with asyncio.timeout(5):
            await daemon.leases.give_up_all()
            for stream in _read_streams(daemon):
                await daemon.group.leave(stream)
    except (UnreachableError, TimeoutError) as exc:
        log.warning(
            "not_signed_off",
            reason=str(exc) or "timed out",
            fix="none needed: leases run out by themselves",
        )
