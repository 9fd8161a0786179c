"""The lanes of every channel: start them, stop those of a channel that was taken away, give all of them new settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog
from pydantic import SecretStr

from notifier.config import HttpSettings
from notifier.config.secrets import State
from notifier.daemon.components import Daemon
from notifier.daemon.loops import Loop, Loops
from notifier.daemon.snapshot import Snapshot
from notifier.errors import UnreachableError
from notifier.events.signing import KeySet
from notifier.events.times import utc_now
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.delivery.lanes import ChannelDelivery, DeliveryDependencies
from notifier.pipeline.delivery.limiter import ChannelLimiter
from notifier.pipeline.stage import run_steps
from notifier.teams.sender import WebhookSender
from notifier.telemetry.logs import log_unforeseen

_PAUSE_POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Way:
    """What a sender is made of; the same way means the same connections."""

    url: SecretStr
    keys: KeySet | None
    http: HttpSettings


@dataclass
class _Open:
    """One channel at work."""

    limiter: ChannelLimiter
    stop: asyncio.Event
    way: _Way | None = None
    sender: WebhookSender | None = None
    lanes: list[ChannelDelivery] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Channels:
    """The second stage of one process."""

    def __init__(self, daemon: Daemon, hop_batchers: Mapping[str, HopBatcher]) -> None:
        self._daemon = daemon
        self._hop_batchers = hop_batchers
        self._open: dict[str, _Open] = {}
        total = daemon.config.http.total_connections
        self._connections = total, asyncio.Semaphore(total)
        """How many all channels together may have, and how many they may still make."""
        self._retired: list[_Open] = []
        """Channels that were taken away and still finish what is in flight."""
        self._closing: list[WebhookSender] = []
        self._loops: Loops | None = None
        for channel in daemon.config.channels:
            self._add(channel, daemon.snapshot)
        warn_of_missing(daemon.snapshot)

    @property
    def lanes(self) -> list[ChannelDelivery]:
        """Return the lanes that are read."""
        return [lane for channel in self._open.values() for lane in channel.lanes]

    @property
    def limiters(self) -> list[ChannelLimiter]:
        """Return the limiters of the open channels."""
        return [channel.limiter for channel in self._open.values()]

    def start(self, loops: Loops) -> None:
        """Begin to deliver; the lanes' tasks belong to `loops`."""
        self._loops = loops
        for name, channel in self._open.items():
            self._start(name, channel)

    def stop(self) -> set[asyncio.Task[None]]:
        """Read nothing more; returns the tasks that still finish what is in flight."""
        for channel in self._open.values():
            channel.stop.set()
        channels = [*self._open.values(), *self._retired]
        return {task for channel in channels for task in channel.tasks if not task.done()}

    async def close(self) -> None:
        """Close all connections, once nothing uses them."""
        for channel in self._open.values():
            if channel.sender is not None:
                await channel.sender.close()
        for sender in self._closing:
            await sender.close()

    def use(self, new: Snapshot) -> None:
        """Go on with a new snapshot: start channels that are new, stop those that are gone; nothing in flight is dropped."""
        for name in [name for name in self._open if name not in new.config.channels]:
            self._retire(name)
        for name, channel in self._open.items():
            channel.limiter.use(rate_limit=new.config.rate_limit, breaker=new.config.breaker)
            self._equip(name, channel, new)
            for lane in channel.lanes:
                lane.use(self._dependencies(new), channel.sender)
        for name in new.config.channels:
            if name not in self._open:
                self._start(name, self._add(name, new))
        warn_of_missing(new)

    async def follow_pauses(self) -> None:
        """Learn of the pauses that other processes were asked for, until cancelled."""
        while True:
            limiters = self.limiters
            try:
                pauses = await self._daemon.group.pauses(
                    [limiter.channel for limiter in limiters]
                )
                for limiter, seconds in zip(limiters, pauses, strict=True):
                    if seconds:
                        limiter.paused_for(seconds)
            except UnreachableError:
                pass  # the stages report it
            await asyncio.sleep(_PAUSE_POLL_SECONDS)

    def _add(self, name: str, snapshot: Snapshot) -> _Open:
        stop = asyncio.Event()
        limiter = ChannelLimiter(
            name,
            self._daemon.group,
            streams=tuple(self._hop_batchers),
            rate_limit=snapshot.config.rate_limit,
            breaker=snapshot.config.breaker,
            stop=stop,
            clock=time.monotonic,
        )
        channel = _Open(limiter, stop)
        self._equip(name, channel, snapshot)
        dependencies = self._dependencies(snapshot)
        channel.lanes = [
            ChannelDelivery(stream, limiter, channel.sender, hop_batcher, dependencies)
            for stream, hop_batcher in self._hop_batchers.items()
        ]
        self._open[name] = channel
        for part in self._part_names(name):
            self._daemon.health.expect(part)
        return channel

    def _equip(self, name: str, channel: _Open, snapshot: Snapshot) -> None:
        """Give a channel the sender that its webhook needs now; the one before ends after its last post."""
        config, url = snapshot.config, snapshot.secrets.webhooks.get(name)
        way = None if url is None else _Way(url, snapshot.secrets.keys, config.http)
        if way == channel.way:
            return
        before, channel.way = channel.way, way
        if channel.sender is not None:
            self._close(channel.sender)
        channel.sender = (
            None
            if way is None
            else WebhookSender(
                way.url.get_secret_value(),
                way.http,
                keys=way.keys,
                of_all=self._connections_of(way.http.total_connections),
            )
        )
        if before is not None and (way is None or way.url != before.url):
            # What was known was known of another URL.
            self._daemon.health.forget(f"channel {name}")

    def _connections_of(self, total: int) -> asyncio.Semaphore:
        if self._connections[0] != total:
            self._connections = total, asyncio.Semaphore(total)
        return self._connections[1]

    def _close(self, sender: WebhookSender) -> None:
        self._closing.append(sender)

        async def close() -> None:
            await sender.close()
            self._closing.remove(sender)

        if self._loops is not None:
            self._loops.spawn("close connections", close())

    def _start(self, name: str, channel: _Open) -> None:
        assert self._loops is not None  # noqa: S101 - started before anything is added
        for lane, part in zip(channel.lanes, self._part_names(name), strict=True):
            loop = Loop(part, partial(self._deliver, lane, part, channel.stop))
            channel.tasks.append(self._loops.start(loop, may_end=channel.stop.is_set))

    def _retire(self, name: str) -> None:
        channel = self._open.pop(name)
        channel.stop.set()
        self._retired.append(channel)
        self._daemon.health.forget(f"channel {name}")

        async def retire() -> None:
            if channel.tasks:
                await asyncio.wait(channel.tasks)
            self._retired.remove(channel)
            for part in self._part_names(name):
                if name not in self._open:
                    self._daemon.health.forget(part)
            if channel.sender is not None:
                await channel.sender.close()

        assert self._loops is not None  # noqa: S101 - only a running daemon reloads
        self._loops.spawn(f"retire {name}", retire())

    async def _deliver(self, lane: ChannelDelivery, part: str, stop: asyncio.Event) -> None:
        try:
            await run_steps(lane.step, part=part, stop=stop, health=self._daemon.health)
            await _drain(lane, part)
        finally:
            lane.abandon()

    def _part_names(self, name: str) -> Iterator[str]:
        return (f"delivery {stream} {name}" for stream in self._hop_batchers)

    def _dependencies(self, snapshot: Snapshot) -> DeliveryDependencies:
        daemon, config = self._daemon, snapshot.config
        return DeliveryDependencies(
            daemon.group,
            daemon.leases,
            snapshot.renderer,
            config.delivery,
            config.retry,
            config.redis,
            daemon.health,
            utc_now,
            daemon.spans,
        )


async def _drain(lane: ChannelDelivery, part: str) -> None:
    """Wait for what is in flight; a delivery that fails is left to other processes, and the rest goes on."""
    while True:
        try:
            return await lane.drain()
        except UnreachableError as exc:
            log.warning("delivery_left", stage=part, reason=str(exc))
        except Exception as exc:
            log_unforeseen("delivery_left", exc, stage=part)


def warn_of_missing(snapshot: Snapshot) -> None:
    """Log which channels cannot be posted to and what makes posts unsigned or links weak."""
    for channel, webhook in snapshot.secrets.found.items():
        if webhook.state is State.UNUSABLE:
            log.error("channel_webhook_unusable", channel=channel, reason=webhook.fault)
        elif webhook.doubt:
            log.warning("channel_webhook_doubtful", channel=channel, reason=webhook.doubt)
        elif webhook.state is not State.CONFIGURED:
            log.warning(
                "channel_without_webhook",
                channel=channel,
                state=webhook.state.value,
                where=webhook.where,
                fix=f"set TEAMS_WEBHOOK_{channel.upper()}",
            )
    if snapshot.secrets.keys is None:
        log.warning(
            "posts_unsigned",
            reason="TEAMS_HMAC_SECRET_KEY is not set",
            fix="make one with: notifier keys new",
        )
    for warning in snapshot.secrets.warnings:
        log.warning("weak_key", reason=warning)
