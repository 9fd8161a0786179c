"""Delivery posts each notification once and keeps its outcome."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis
from typing_extensions import override

from notifier.broker.client import Client
from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.broker.rate_limit import RateLimits
from notifier.config.models import RedisSettings
from notifier.errors import StreamError
from notifier.events.entry import Priority
from tests.support.backlog import KEYS, NORMAL, URGENT
from tests.support.broker import Broker
from tests.support.reading import hand_over
from tests.support.receiver import WebhookReceiver
from tests.support.stages import ONE, Stages, notifications


@pytest.fixture
def url(webhook_receiver: WebhookReceiver) -> str:
    return webhook_receiver.url("sre")


class RefusedGroup(Consumer):
    """Lets a test know that Redis has refused a hop."""

    def __init__(self, client: Client, settings: RedisSettings, consumer: str) -> None:
        super().__init__(client, settings, consumer)
        self.refused = asyncio.Event()

    @override
    async def hop(self, moves: Sequence[Move]) -> list[HopResult]:
        try:
            return await super().hop(moves)
        except StreamError:
            self.refused.set()
            raise


async def left(client: Redis) -> int:
    """Count what is still in both lanes."""
    return int(await client.xlen(URGENT)) + int(await client.xlen(NORMAL))


async def test_accepted_notification_leaves_its_lane_and_one_outcome_with_its_card(
    client: Redis, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    await stages.put(ONE)
    async with stages.lane(url) as lane:
        assert await lane.step() == 1

    [request] = webhook_receiver.requests
    [outcome] = await stages.outcomes()
    assert (outcome["id"], outcome["status"], outcome["status_code"]) == (
        "id-0",
        "delivered",
        202,
    )
    assert outcome["card_payload"] == json.loads(request.body)["attachments"][0]["content"]
    assert await left(client) == await client.xlen(KEYS.dead) == 0


async def test_refused_notification_leaves_its_lane_with_a_dead_letter_and_an_outcome(
    client: Redis, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    webhook_receiver.answer(400)
    [entry_id] = await stages.put(ONE)
    async with stages.lane(url, retries=3) as lane:
        await lane.step()

    assert len(webhook_receiver.requests) == 1
    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["last_status"], letter["channel"]) == (
        "rejected",
        "400",
        "sre",
    )
    assert (letter["source_stream"], letter["source_id"]) == (NORMAL, entry_id)
    assert json.loads(letter["event"])["data"] == {"claim_id": "CLM-0"}
    assert [outcome["status"] for outcome in await stages.outcomes()] == ["dead_lettered"]
    assert await left(client) == 0


async def test_failed_attempts_are_repeated_and_all_of_them_are_in_one_outcome(
    stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    webhook_receiver.answer(503, times=2)
    await stages.put(ONE)
    async with stages.lane(url, retries=3) as lane:
        await lane.step()

    [outcome] = await stages.outcomes()
    assert (outcome["status"], outcome["retry_count"]) == ("delivered", 2)
    assert [attempt["status_code"] for attempt in outcome["attempts"]] == [503, 503, 202]


async def test_notification_out_of_retries_is_a_dead_letter(
    stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    webhook_receiver.answer(500)
    await stages.put(ONE)
    async with stages.lane(url, retries=1) as lane:
        await lane.step()

    assert len(webhook_receiver.requests) == 2
    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["attempts"]) == ("retries_exhausted", "2")


async def test_channel_that_asks_to_wait_is_left_alone_by_every_process(
    broker: Broker, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    webhook_receiver.answer(429, headers={"Retry-After": "300"})
    await stages.put(ONE)
    async with stages.lane(url) as lane:
        await lane.step()

    paused, free = await RateLimits(broker.group("two")).pauses(["sre", "pmo"])
    assert 290 < paused <= 300
    assert free == 0


async def test_urgent_notifications_are_posted_before_the_others(
    stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    await stages.put(*notifications(3), *notifications(2, priority=Priority.CRITICAL))
    async with stages.lane(url, in_flight=1) as lane:
        await lane.step()
        await lane.step()

    posted = [request.headers["X-Priority"] for request in webhook_receiver.requests]
    assert posted == ["CRITICAL"] * 2 + ["LOW"] * 3


async def test_two_processes_post_each_notification_once(
    broker: Broker, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    await stages.put(*notifications(20))
    async with (
        stages.lane(url, in_flight=2) as one,
        stages.lane(url, in_flight=2, group=broker.group("two")) as two,
    ):
        for _ in range(20):
            if not sum([await one.step(), await two.step()]):
                break

    expected = Counter(f"id-{number}" for number in range(20))
    assert Counter(each.headers["webhook-id"] for each in webhook_receiver.requests) == expected
    assert Counter(outcome["id"] for outcome in await stages.outcomes()) == expected


async def test_notification_of_a_process_that_died_is_claimed_and_posted(
    client: Redis,
    broker: Broker,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
):
    [entry_id] = await stages.put(ONE)
    async with stages.lane(url) as lane:
        dead = broker.group("dead")
        await dead.read([NORMAL], count=1, block_seconds=0.01)
        await dead.give_up(NORMAL, [entry_id])
        await lane.step()

    assert len(webhook_receiver.requests) == 1
    assert [outcome["status"] for outcome in await stages.outcomes()] == ["delivered"]
    assert await left(client) == 0


async def test_notification_that_another_process_claimed_is_not_posted(
    broker: Broker, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    await stages.put(ONE)
    async with stages.lane(url, lease_seconds=0) as lane:
        [entry] = await lane.group.read([NORMAL], count=1, block_seconds=0.01)
        lane.leases.hold(NORMAL, entry.id)
        await hand_over(lane.group, broker.group("two"), NORMAL, entry.id)
        await lane.delivery.deliver([(entry, ONE)])

    assert webhook_receiver.requests == []
    assert await stages.outcomes() == []


async def test_what_waits_for_a_connection_when_the_daemon_stops_is_left_to_others(
    client: Redis, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    _, waiting = await stages.put(*notifications(2))
    webhook_receiver.hold()
    async with stages.lane(url, connections=1) as lane:
        await lane.delivery.step()
        await webhook_receiver.wait_for(1)
        lane.stop.set()
        webhook_receiver.release()
        await lane.delivery.drain()

    assert len(webhook_receiver.requests) == 1
    assert [entry_id.decode() for entry_id, _ in await client.xrange(NORMAL)] == [waiting]


async def test_what_another_process_claimed_while_it_waited_for_a_connection_is_not_posted(
    client: Redis, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    _, waiting = await stages.put(*notifications(2))
    webhook_receiver.hold()
    async with stages.lane(url, connections=1, lease_seconds=0.001) as lane:
        await lane.delivery.step()
        await webhook_receiver.wait_for(1)
        await client.xclaim(NORMAL, "notifier", "other", 0, [waiting])
        webhook_receiver.release()
        await lane.delivery.drain()

    assert len(webhook_receiver.requests) == 1


async def test_notification_that_no_process_survives_is_a_dead_letter_and_is_not_posted(
    client: Redis,
    broker: Broker,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
):
    [entry_id] = await stages.put(ONE)
    async with stages.lane(url) as lane:
        await broker.group("dead").read([NORMAL], count=1, block_seconds=0.01)
        await stages.die_of(NORMAL, entry_id, times=stages.config.redis.max_deliveries)
        await lane.step()

    assert webhook_receiver.requests == []
    assert [letter["reason"] for letter in await stages.dead_letters()] == ["poison"]
    assert await left(client) == 0


async def test_entry_that_is_not_a_notification_is_buried_and_the_next_one_is_posted(
    client: Redis, stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    await client.xadd(NORMAL, {"notification": "{"})
    await stages.put(ONE)
    async with stages.lane(url) as lane:
        await lane.step()

    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["channel"], letter["event"]) == (
        "invalid_event",
        "sre",
        "{",
    )
    assert len(webhook_receiver.requests) == 1
    assert await left(client) == 0


async def test_notifications_of_one_type_share_a_card_and_each_has_its_own_outcome(
    stages: Stages, webhook_receiver: WebhookReceiver, url: str
):
    limit = stages.config.rate_limit.model_copy(
        update={"requests": 1000, "burst": 100, "min_interval_seconds": 0}
    )
    await stages.put(*notifications(6))
    async with stages.lane(
        url, rate_limit=limit, in_flight=1, digest_threshold=1, digest_size=10
    ) as lane:
        await lane.step()

    [request] = webhook_receiver.requests
    outcomes = await stages.outcomes()
    assert [outcome["id"] for outcome in outcomes] == [f"id-{number}" for number in range(6)]
    assert {outcome["digest_id"] for outcome in outcomes} == {request.headers["webhook-id"]}


async def test_outcome_is_kept_until_redis_is_back(
    client: Redis,
    broker: Broker,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
):
    group = RefusedGroup(client, stages.config.redis, "one")
    await stages.put(ONE)
    webhook_receiver.hold()
    async with stages.lane(url, group=group) as lane:
        await lane.delivery.step()
        await webhook_receiver.wait_for(1)
        await broker.go_away()
        webhook_receiver.release()
        await group.refused.wait()
        await broker.come_back()
        await lane.delivery.drain()

    assert len(webhook_receiver.requests) == 1
    assert [outcome["status"] for outcome in await stages.outcomes()] == ["delivered"]
    assert await left(client) == 0
