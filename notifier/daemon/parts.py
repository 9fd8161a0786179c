"""What one process runs: its connections and its loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from notifier.config import Config
from notifier.secrets import Secrets
from notifier.stages.channel import ChannelGate
from notifier.stages.delivery import ChannelDelivery
from notifier.streams.group import Client, ConsumerGroup
from notifier.streams.leases import Leases
from notifier.telemetry.health import Health

Loop = Callable[[], Awaitable[None]]
"""A coroutine that runs until the daemon stops."""


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
    gates: list[ChannelGate] = field(default_factory=list)
