"""Run the lanes of every channel, and change them on a reload."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog
from pydantic import SecretStr

from notifier.broker.rate_limit import RateLimits
from notifier.config.models import HttpSettings
from notifier.config.secrets import State
from notifier.daemon.dependencies import Dependencies
from notifier.daemon.loops import Loop, Loops
from notifier.daemon.snapshot import Snapshot
from notifier.errors import UnreachableError
from notifier.events.signing import KeySet
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.delivery.lanes import ChannelDelivery
from notifier.pipeline.delivery.limiter import ChannelLimiter
from notifier.pipeline.delivery.poster import DeliveryDependencies
from notifier.pipeline.stage import run_steps
from notifier.teams.sender import WebhookSender
from notifier.telemetry.clock import utc_now
from notifier.telemetry.logs import log_unforeseen

_PAUSE_POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Route:
    """The settings of a sender; the same ones mean the same connections."""

    url: SecretStr
    keys: KeySet | None
    http: HttpSettings


@dataclass
class _Channel:
    """One open channel."""

    limiter: ChannelLimiter
    stop: asyncio.Event
    route: _Route | None = None
    sender: WebhookSender | None = None
    lanes: list[ChannelDelivery] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Channels:
    """The channels that this process delivers to; none if it does not deliver."""

    def __init__(self, dependencies: Dependencies, batchers: Mapping[str, HopBatcher]) -> None:
        """Open the channels; `batchers` has one for each delivered event stream."""
        self._dependencies = dependencies
        self._batchers = batchers
        self._open: dict[str, _Channel] = {}
        total = dependencies.config.http.total_connections
        self._connections = total, asyncio.Semaphore(total)
        """How many all channels together may have, and how many they may still open."""
        self._retired: list[_Channel] = []
        """Removed channels that still finish deliveries in flight."""
        self._closing: list[WebhookSender] = []
        self._loops: Loops | None = None
        if batchers:
            for channel in dependencies.config.channels:
                self._add(channel, dependencies.snapshot)
            warn_of_missing(dependencies.snapshot)

    @property
    def lanes(self) -> list[ChannelDelivery]:
        """Return the lanes that are read."""
        return [lane for channel in self._open.values() for lane in channel.lanes]

    @property
    def limiters(self) -> list[ChannelLimiter]:
        """Return the limiters of the open channels."""
        return [channel.limiter for channel in self._open.values()]

    def start(self, loops: Loops) -> None:
        """Begin to deliver; `loops` owns the tasks of the lanes."""
        self._loops = loops
        for name, channel in self._open.items():
            self._start(name, channel)

    def stop(self) -> set[asyncio.Task[None]]:
        """Stop reading; returns the tasks that still finish deliveries in flight."""
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
        """Open new channels, retire removed ones and equip the others.

        Deliveries in flight continue.
        """
        if not self._batchers or self._dependencies.stop.is_set():
            return
        for name in [name for name in self._open if name not in new.config.channels]:
            self._retire(name)
        for name, channel in self._open.items():
            channel.limiter.use(rate_limit=new.config.rate_limit, breaker=new.config.breaker)
            self._equip(name, channel, new)
            for lane in channel.lanes:
                lane.use(self._delivery_dependencies(new), channel.sender)
        for name in new.config.channels:
            if name not in self._open:
                self._start(name, self._add(name, new))
        warn_of_missing(new)

    async def follow_pauses(self) -> None:
        """Follow the pauses that other processes were asked for, until cancelled."""
        while True:
            limiters = self.limiters
            try:
                names = [limiter.channel for limiter in limiters]
                pauses = await RateLimits(self._dependencies.group).pauses(names)
                for limiter, seconds in zip(limiters, pauses, strict=True):
                    if seconds:
                        limiter.paused_for(seconds)
            except UnreachableError:
                pass  # the stages report it
            await asyncio.sleep(_PAUSE_POLL_SECONDS)

    def _add(self, name: str, snapshot: Snapshot) -> _Channel:
        stop = asyncio.Event()
        limiter = ChannelLimiter(
            name,
            self._dependencies.group,
            streams=tuple(self._batchers),
            rate_limit=snapshot.config.rate_limit,
            breaker=snapshot.config.breaker,
            stop=stop,
            clock=time.monotonic,
        )
        channel = _Channel(limiter, stop)
        self._equip(name, channel, snapshot)
        dependencies = self._delivery_dependencies(snapshot)
        channel.lanes = [
            ChannelDelivery(stream, limiter, channel.sender, batcher, dependencies)
            for stream, batcher in self._batchers.items()
        ]
        self._open[name] = channel
        for component in self._component_names(name):
            self._dependencies.health.expect(component)
        return channel

    def _equip(self, name: str, channel: _Channel, snapshot: Snapshot) -> None:
        """Give a channel the sender for its webhook, and close the old one."""
        config, url = snapshot.config, snapshot.secrets.webhooks.get(name)
        route = None if url is None else _Route(url, snapshot.secrets.keys, config.http)
        if route == channel.route:
            return
        before, channel.route = channel.route, route
        if channel.sender is not None:
            self._close(channel.sender)
        channel.sender = (
            None
            if route is None
            else WebhookSender(
                route.url.get_secret_value(),
                route.http,
                keys=route.keys,
                of_all=self._connections_of(route.http.total_connections),
            )
        )
        if before is not None and (route is None or route.url != before.url):
            # The state is that of another URL.
            self._dependencies.health.forget(f"channel {name}")

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

    def _start(self, name: str, channel: _Channel) -> None:
        assert self._loops is not None  # noqa: S101 - started before anything is added
        for lane, component in zip(channel.lanes, self._component_names(name), strict=True):
            loop = Loop(component, partial(self._deliver, lane, component, channel.stop))
            channel.tasks.append(self._loops.start(loop, may_end=channel.stop.is_set))

    def _retire(self, name: str) -> None:
        channel = self._open.pop(name)
        channel.stop.set()
        self._retired.append(channel)
        self._dependencies.health.forget(f"channel {name}")

        async def retire() -> None:
            if channel.tasks:
                await asyncio.wait(channel.tasks)
            self._retired.remove(channel)
            for component in self._component_names(name):
                if name not in self._open:
                    self._dependencies.health.forget(component)
            if channel.sender is not None:
                await channel.sender.close()

        assert self._loops is not None  # noqa: S101 - only a running daemon reloads
        self._loops.spawn(f"retire {name}", retire())

    async def _deliver(
        self, lane: ChannelDelivery, component: str, stop: asyncio.Event
    ) -> None:
        try:
            await run_steps(
                lane.step, component=component, stop=stop, health=self._dependencies.health
            )
            await _drain(lane, component)
        finally:
            lane.abandon()

    def _component_names(self, name: str) -> Iterator[str]:
        return (f"delivery {stream} {name}" for stream in self._batchers)

    def _delivery_dependencies(self, snapshot: Snapshot) -> DeliveryDependencies:
        dependencies, config = self._dependencies, snapshot.config
        return DeliveryDependencies(
            dependencies.group,
            dependencies.leases,
            snapshot.renderer,
            config.delivery,
            config.retry,
            config.redis,
            dependencies.health,
            utc_now,
            dependencies.spans,
        )


async def _drain(lane: ChannelDelivery, component: str) -> None:
    """Wait for deliveries in flight; leave failed ones to other processes."""
    while True:
        try:
            return await lane.drain()
        except UnreachableError as exc:
            log.warning("delivery_left", stage=component, reason=str(exc))
        except Exception as exc:
            log_unforeseen("delivery_left", exc, stage=component)


def warn_of_missing(snapshot: Snapshot) -> None:
    """Log channels without a usable webhook, unsigned posts and weak keys."""
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
