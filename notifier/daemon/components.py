"""What one process runs: its connections and its loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from notifier.broker.client import Client
from notifier.broker.group import ConsumerGroup
from notifier.broker.leases import Leases
from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.daemon.clock import LinkClock
from notifier.daemon.loops import Loop
from notifier.daemon.snapshot import Snapshot
from notifier.pipeline.delivery.lanes import ChannelDelivery
from notifier.pipeline.delivery.limiter import ChannelLimiter
from notifier.pipeline.intake import Intake
from notifier.pipeline.recorder import Recorder
from notifier.telemetry.health import Health
from notifier.telemetry.tracing import Spans

if TYPE_CHECKING:
    from notifier.daemon.channels import Channels


@dataclass
class Daemon:
    """Everything that one process runs."""

    snapshot: Snapshot
    """Settings, secrets and cards in force; a reload puts another in its place."""
    instance: str
    stages: frozenset[str]
    stop: asyncio.Event
    client: Client
    group: ConsumerGroup
    leases: Leases
    spans: Spans | None = None
    """What makes spans, where tracing is switched on."""
    clock: LinkClock = field(default_factory=LinkClock)
    """The time of links and of what people do."""
    health: Health = field(default_factory=Health)
    working: list[Loop] = field(default_factory=list)
    """Loops that end by themselves once `stop` is set."""
    serving: list[Loop] = field(default_factory=list)
    """Loops that the working ones need until they have ended; they are cancelled then."""
    intakes: list[Intake] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)
    channels: Channels | None = None
    """The second stage, if this process runs it."""
    before_reload: list[Callable[[], None]] = field(default_factory=list)
    """Called when a reload begins: the place to tell a service manager (RELOADING=1)."""
    after_reload: list[Callable[[], None]] = field(default_factory=list)
    """Called when a reload has ended, taken or refused (READY=1)."""

    def expect_recording(self, part: str) -> None:
        """Name a part that needs Postgres; where this process does more than record, it is ready without."""
        self.health.expect(part, required=self.stages == {"recorder"})

    @property
    def config(self) -> Config:
        """Return the settings in force."""
        return self.snapshot.config

    @property
    def secrets(self) -> Secrets:
        """Return the secrets in force."""
        return self.snapshot.secrets

    @property
    def lanes(self) -> list[ChannelDelivery]:
        """Return the lanes that this process reads."""
        return self.channels.lanes if self.channels is not None else []

    @property
    def limiters(self) -> list[ChannelLimiter]:
        """Return the limiters of the channels that this process delivers to."""
        return self.channels.limiters if self.channels is not None else []
