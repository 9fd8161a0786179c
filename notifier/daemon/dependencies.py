"""Dependencies that the components of one process share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from notifier.broker.consumer import Consumer
from notifier.broker.leases import Leases
from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.daemon.action_links import LinkClock
from notifier.daemon.loops import Loop
from notifier.daemon.snapshot import Snapshot
from notifier.pipeline.stage import run_steps
from notifier.store.database import Access, Database
from notifier.store.pool import Pool
from notifier.telemetry.health import Health
from notifier.telemetry.tracing import Spans


@dataclass(slots=True)
class CurrentSnapshot:
    """The snapshot in force; a reload replaces it as a whole."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The connections and the state that the components of one process share."""

    instance: str
    stages: frozenset[str]
    current: CurrentSnapshot
    group: Consumer
    leases: Leases
    health: Health
    clock: LinkClock
    """The time of links and actions, the same for all processes."""
    pool: Pool
    """Connections to Postgres for pages, probes and metrics."""
    stop: asyncio.Event
    """Set when the process must finish its work and end."""
    spans: Spans | None = None
    """None while tracing is off."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot in force."""
        return self.current.snapshot

    @property
    def config(self) -> Config:
        """Return the settings in force."""
        return self.current.snapshot.config

    @property
    def database(self) -> Database:
        """Return the database for the stages, with a connection for each."""
        settings = self.config.database
        return Database(
            settings.url,
            settings.connect_timeout_seconds,
            settings.statement_timeout_seconds,
            Access.WRITE,
        )

    @property
    def secrets(self) -> Secrets:
        """Return the secrets in force."""
        return self.current.snapshot.secrets

    def stage_loop(
        self, component: str, step: Callable[[], Awaitable[object]], *, required: bool = True
    ) -> Loop:
        """Expect a component, and return the loop that repeats its step."""
        self.health.expect(component, required=required)
        return Loop(
            component,
            lambda: run_steps(step, component=component, stop=self.stop, health=self.health),
        )
