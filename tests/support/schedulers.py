"""A scheduler of escalations over real servers, whose clock a test sets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from notifier.broker.client import connect
from notifier.broker.streams import Streams
from notifier.config import Config, load_config
from notifier.errors import StreamError
from notifier.escalation.actions import Actions
from notifier.escalation.policy import Matrix
from notifier.escalation.repository import EscalationRepository
from notifier.escalation.scheduler import EscalationScheduler
from notifier.events.notification import notification_id
from notifier.pipeline.recorder import AuditTrail
from notifier.store.database import KeptConnection
from tests.support.databases import kept, writing
from tests.support.escalation import STREAM, age, record
from tests.support.state import rows

CONFIG = load_config(None, {})
VIEW = "SELECT * FROM teams_notifications_unacknowledged_critical"


def waiting(
    database_url: str,
    event_id: str,
    channels: str,
    *,
    priority: str = "CRITICAL",
    event_type: str = "nphies.api.error",
) -> list[str]:
    """Record an event now."""
    return record(
        database_url,
        event_id,
        channels,
        priority=priority,
        event_type=event_type,
        at=datetime.now(UTC),
    )


async def recorded(
    database_url: str, *outcomes: dict[str, Any], arrived: datetime | None = None
) -> dict[str, dict[str, Any]]:
    """Let the store record outcomes by the shipped rules; return rows by id."""
    now = datetime.now(UTC)
    matrix = Matrix.of(CONFIG.escalation, CONFIG.business_hours)
    texts = [
        json.dumps(
            {
                "id": notification_id(STREAM, each["event_id"], each["channel"]), "stream": STREAM, "entry_id": "1-1",
                "correlation_id": "c", "event_type": "a.b", "stakeholders": ["sre"], "priority": "CRITICAL",
                "status": "delivered", "retry_count": 0, "sent_at": now.isoformat(), "attempts": [], **each,
            }
        ).encode()
        for each in outcomes
    ]  # fmt: skip
    store = AuditTrail(writing(database_url))
    try:
        await store.record(
            texts,
            store_cards=True,
            arrived=[(arrived or now).timestamp()] * len(texts),
            checks=matrix.first_checks(now),
        )
    finally:
        await store.close()
    return {row["event_id"] + " " + row["channel"]: row for row in rows(database_url)}


@dataclass
class World:
    """Schedulers over real servers, with events moved into the past."""

    config: Config
    actions: Actions
    connections: list[KeptConnection]
    database_url: str
    ahead: timedelta = timedelta()
    """How far this machine's clock is ahead of the servers'."""
    published: list[dict[str, str]] = field(default_factory=list)
    faults: int = 0
    fault_after: bool = False

    async def publish(self, stream: str, entries: Sequence[Mapping[str, str]]) -> None:
        assert stream == STREAM
        if self.faults and not self.fault_after:
            self.faults -= 1
            raise StreamError("away")
        self.published += [dict(fields) for fields in entries]
        if self.faults:
            self.faults -= 1
            raise StreamError("the connection broke after it was published")

    def scheduler(self, number: int = 0) -> EscalationScheduler:
        return EscalationScheduler(
            EscalationRepository(self.connections[number]), self.actions, self.publish,
            lambda: Matrix.of(self.config.escalation, self.config.business_hours), titles=lambda: {"devops": "DevOps"},
            stop=asyncio.Event(), now=lambda: datetime.now(UTC) + self.ahead,
        )  # fmt: skip

    async def minutes(self, minutes: float) -> list[tuple[str, str]]:
        """Let time pass and look; return (id, channel) of published escalations."""
        age(self.database_url, minutes)
        before = len(self.published)
        while await self.scheduler().check_due():
            pass
        return [(each["id"], each["stakeholders"]) for each in self.published[before:]]


@asynccontextmanager
async def world(redis_url: str, database_url: str) -> AsyncIterator[World]:
    config = load_config(None, {"REDIS_URL": redis_url, "DATABASE_URL": database_url})
    client = connect(config.redis)
    connections = [kept(database_url) for _ in range(6)]
    try:
        yield World(
            config,
            Actions(Streams(client, config.redis), remember_seconds=1000),
            connections,
            database_url,
        )
    finally:
        for connection in connections:
            await connection.close()
        await client.aclose()
