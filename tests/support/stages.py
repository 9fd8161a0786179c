"""Stages without a process: a test calls step() itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from msgspec.structs import replace
from pydantic import SecretStr

from notifier.broker.consumer import Consumer
from notifier.broker.leases import Leases
from notifier.cards.library import CardLibrary, load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import Config, assets
from notifier.config.models import RateLimitSettings
from notifier.events.entry import Priority
from notifier.events.masking import Masking
from notifier.events.notification import Notification, encode
from notifier.events.producer_signature import Signers
from notifier.events.routing import Catalogue
from notifier.events.signing import KeySet
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.delivery.lanes import ChannelDelivery
from notifier.pipeline.delivery.limiter import ChannelLimiter
from notifier.pipeline.delivery.poster import DeliveryDependencies
from notifier.pipeline.intake import Intake, IntakeRules
from notifier.pipeline.recorder import AuditTrail, Recorder
from notifier.teams.sender import WebhookSender
from notifier.telemetry.health import Health
from tests.support.backlog import KEYS, NORMAL, STREAM, URGENT
from tests.support.broker import Broker

ONE = Notification(
    id="id-0", channel="sre", stakeholders=("sre",), priority=Priority.LOW, card="generic", stream=STREAM,
    entry_id="1-0", event_id="e0", event_type="a.b", correlation_id="c0", event_time="2026-11-24T10:15:00Z", lang="en",
    source=None, traceparent=None, data={"claim_id": "CLM-0"},
)  # fmt: skip


_KEYS = KeySet(SecretStr("0f1e2d3c4b5a69788796a5b4c3d2e1f0"))


@cache
def _cards() -> CardLibrary:
    return load_cards(assets.cards_dir())


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Lane:
    """Deliveries to one channel in one process."""

    delivery: ChannelDelivery
    group: Consumer
    leases: Leases
    stop: asyncio.Event
    """Set: the daemon stops."""

    async def step(self) -> int:
        """Read one batch and deliver all of it; return how many entries were read."""
        read = await self.delivery.step()
        await self.delivery.drain()
        return read


@dataclass
class Stages:
    """Makes the stages of one broker, as the daemon does."""

    broker: Broker
    _lanes_made: bool = False

    @property
    def config(self) -> Config:
        return self.broker.config

    def intake(
        self,
        group: Consumer | None = None,
        *,
        signers: Signers | None = None,
        **settings: object,
    ) -> Intake:
        config = self.config
        return Intake(
            group or self.broker.group("one"),
            STREAM,
            IntakeRules(
                Catalogue(config.routes, config.channels),
                Masking.of(config.masking.fields, config.masking.exempt),
                config.intake.model_copy(update=settings),
                signers or Signers(required=False),
            ),
            redis_settings=config.redis,
            now=now,
        )

    @asynccontextmanager
    async def lane(
        self,
        url: str,
        *,
        group: Consumer | None = None,
        lease_seconds: float = 15,
        rate_limit: RateLimitSettings | None = None,
        retries: int = 0,
        connections: int = 10,
        **settings: object,
    ) -> AsyncIterator[Lane]:
        """Deliver to the channel sre at this URL; retries wait 10 ms at most."""
        config = self.config
        group = group or self.broker.group("one")
        leases = Leases(group, lease_seconds=lease_seconds)
        stop = asyncio.Event()
        dependencies = DeliveryDependencies(
            group, leases, CardRenderer(_cards(), config, None),
            config.delivery.model_copy(update=settings),
            config.retry.model_copy(update={"max_retries": retries, "max_delay_seconds": 0.01}),
            config.redis, Health(), now,
        )  # fmt: skip
        unlimited = config.rate_limit.model_copy(update={"requests": 0})
        limiter = ChannelLimiter(
            "sre", group, streams=(STREAM,), rate_limit=rate_limit or unlimited, breaker=config.breaker, stop=stop, clock=time.monotonic,
        )  # fmt: skip
        http = config.http.model_copy(
            update={"allow_loopback_webhooks": True, "connections_per_host": connections}
        )
        sender = WebhookSender(url, http, keys=_KEYS)
        hop_batcher = HopBatcher(group)
        delivery = ChannelDelivery(STREAM, limiter, sender, hop_batcher, dependencies)
        if not self._lanes_made:
            self._lanes_made = True
            await group.ensure(delivery.lanes)
        hopping = asyncio.create_task(hop_batcher.run())
        try:
            yield Lane(delivery, group, leases, stop)
        finally:
            delivery.abandon()
            hopping.cancel()
            await sender.close()

    def recorder(
        self, store: AuditTrail, group: Consumer | None = None, **settings: object
    ) -> Recorder:
        group = group or self.broker.group("one")
        return Recorder(
            group,
            STREAM,
            store=store,
            leases=Leases(group, lease_seconds=15),
            settings=self.config.recorder.model_copy(update=settings),
            redis_settings=self.config.redis,
            checks=lambda since: [],
            now=now,
        )

    async def put(self, *notifications: Notification) -> list[str]:
        """Add notifications to the lanes of their priority; return entry ids."""
        pipeline = self.broker.client.pipeline(transaction=False)
        for each in notifications:
            pipeline.xadd(
                URGENT if each.priority.urgent else NORMAL, {"notification": encode(each)}
            )
        return [entry_id.decode() for entry_id in await pipeline.execute()]

    async def die_of(self, stream: str, entry_id: str, *, times: int) -> None:
        """Leave an entry as if so many processes had died of it long ago."""
        await self.broker.client.xclaim(
            stream, self.config.redis.group, "dead", 0, [entry_id], idle=10**9, retrycount=times
        )

    async def outcomes(self) -> list[dict[str, Any]]:
        """Return the outcomes that wait for Postgres."""
        entries = await self.broker.client.xrange(KEYS.outcomes)
        return [json.loads(fields[b"outcome"]) for _, fields in entries]

    async def dead_letters(self) -> list[dict[str, str]]:
        """Return the fields of each dead letter."""
        entries = await self.broker.client.xrange(KEYS.dead)
        return [
            {name.decode(): value.decode() for name, value in fields.items()}
            for _, fields in entries
        ]


def notifications(count: int, **changes: Any) -> Sequence[Notification]:
    """Return different notifications of one channel and type."""
    return [
        replace(
            ONE,
            id=f"id-{number}",
            event_id=f"e{number}",
            data={"claim_id": f"CLM-{number}"},
            **changes,
        )
        for number in range(count)
    ]
