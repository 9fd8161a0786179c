"""What a channel leaves to others is really left: nobody holds it any longer, also while Redis is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from notifier import assets
from notifier.cards import CardPainter, load_cards
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.events import Priority
from notifier.notifications import Notification
from notifier.stages.channel import ChannelGate
from notifier.stages.delivery import ChannelDelivery, DeliveryParts, Waiting
from notifier.stages.settler import Settler
from notifier.streams.group import Entry
from notifier.streams.leases import Leases
from notifier.telemetry.health import Health

CONFIG = load_config(None, {})
LANE = "teams:events:sre:normal"
ONE = Notification(
    id="id-0", channel="sre", stakeholders=("sre",), priority=Priority.LOW, card="generic", stream="teams:events",
    entry_id="1-0", event_id="e0", event_type="a.b", correlation_id="c0", event_time="2026-11-24T10:15:00Z", lang="en",
    source=None, traceparent=None, data={"claim_id": "CLM-0"},
)  # fmt: skip
DIGEST: list[Waiting] = [
    (Entry(LANE, f"{number}-1", {}), ONE._replace(id=f"id-{number}")) for number in range(3)
]


class Redis:
    """A group in which another process takes `taken` over while a card is drawn."""

    def __init__(self, *, taken: Sequence[str] = (), away: Sequence[str] = ()) -> None:
        self._taken = taken
        self._away = away
        """What Redis does not answer."""
        self._lost: Sequence[str] = ()
        self.renewed: list[str] = []
        self.given_up: list[tuple[str, list[str]]] = []

    async def renew(self, stream: str, entry_ids: Sequence[str]) -> int:
        self.renewed += entry_ids
        if "renew" in self._away:
            raise StreamError("away")
        return sum(entry_id not in self._lost for entry_id in entry_ids)

    async def reserve(self, *_: object, **__: object) -> list[float]:
        self._lost = self._taken
        return [0.0]

    async def give_up(self, stream: str, entry_ids: Sequence[str]) -> None:
        if "give_up" in self._away:
            raise StreamError("away")
        self.given_up.append((stream, list(entry_ids)))


async def leave(redis: Redis, leases: Leases, *, stopped: bool = False) -> None:
    """Deliver a digest that cannot be ended."""
    group: Any = redis
    stop = asyncio.Event()
    if stopped:
        stop.set()
    parts = DeliveryParts(
        group, leases, CardPainter(load_cards(assets.cards_dir()), CONFIG, None), CONFIG.delivery, CONFIG.retry,
        CONFIG.redis, Health(), lambda: datetime.now(UTC),
    )  # fmt: skip
    gate = ChannelGate(
        "sre", group, rate_limit=CONFIG.rate_limit.model_copy(update={"requests": 1}), breaker=CONFIG.breaker,
        stop=stop, clock=time.monotonic,
    )  # fmt: skip
    sender: Any = "what is left to others is not posted"
    for entry, _ in DIGEST:
        leases.hold(entry.stream, entry.id)
    await ChannelDelivery("teams:events", gate, sender, Settler(group), parts).deliver(DIGEST)


def leases_of(redis: Redis) -> Leases:
    """Leases so short that each question goes to Redis."""
    group: Any = redis
    return Leases(group, lease_seconds=0)


async def renewed_from_now_on(redis: Redis, leases: Leases) -> list[str]:
    redis.renewed.clear()
    renewing = asyncio.create_task(leases.run())
    for _ in range(10):
        await asyncio.sleep(0)
    renewing.cancel()
    return redis.renewed


@pytest.mark.parametrize("away", [(), ("give_up",)])
async def test_a_digest_of_which_one_was_taken_over_is_held_no_longer(
    away: Sequence[str],
) -> None:
    redis = Redis(taken=["1-1"], away=away)
    leases = leases_of(redis)

    await leave(redis, leases)

    assert await renewed_from_now_on(redis, leases) == []
    assert all(leases.hold(entry.stream, entry.id) for entry, _ in DIGEST)


async def test_a_digest_is_left_to_others_in_one_call() -> None:
    redis = Redis(taken=["1-1"])

    await leave(redis, leases_of(redis))

    assert redis.given_up == [(LANE, ["0-1", "1-1", "2-1"])]


async def test_a_stop_while_redis_is_away_is_no_failure_and_holds_nothing() -> None:
    redis = Redis(away=["renew", "give_up"])
    leases = leases_of(redis)

    await leave(redis, leases, stopped=True)

    assert await renewed_from_now_on(redis, leases) == []
