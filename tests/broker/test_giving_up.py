"""Notifications that a channel gives up belong to other processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from typing_extensions import override

from notifier.broker.consumer import Consumer
from notifier.broker.scripts import Script
from notifier.pipeline.delivery.lanes import Waiting
from tests.support.backlog import NORMAL
from tests.support.broker import Broker
from tests.support.reading import hand_over
from tests.support.receiver import WebhookReceiver
from tests.support.stages import Lane, Stages, notifications

Meanwhile = Callable[[], Awaitable[object]]


class InterruptedGroup(Consumer):
    """Something happens between the rendering of a card and its post."""

    meanwhile: Meanwhile | None = None

    @override
    async def run(self, script: Script, keys_: Sequence[str], argv: Sequence[object]) -> Any:
        reply = await super().run(script, keys_, argv)
        if script.name == "rate_limit_reserve" and self.meanwhile is not None:
            await self.meanwhile()
        return reply


@pytest.fixture
def group(client: Redis, stages: Stages) -> InterruptedGroup:
    return InterruptedGroup(client, stages.config.redis, "one")


@pytest.fixture
async def lane(
    stages: Stages, group: InterruptedGroup, webhook_receiver: WebhookReceiver
) -> AsyncIterator[Lane]:
    url, limit = webhook_receiver.url("sre"), stages.config.rate_limit
    async with stages.lane(url, group=group, lease_seconds=0, rate_limit=limit) as lane:
        yield lane


@pytest.fixture
async def digest(stages: Stages, lane: Lane) -> list[Waiting]:
    """Three notifications that this process has read and that share a card."""
    members = notifications(3)
    await stages.put(*members)
    entries = await lane.group.read([NORMAL], count=3, block_seconds=0.01)
    for entry in entries:
        lane.leases.hold(entry.stream, entry.id)
    return list(zip(entries, members, strict=True))


def held_by(lane: Lane, digest: list[Waiting]) -> list[str]:
    """Return which of these entries the process still renews."""
    return [entry.id for entry, _ in digest if not lane.leases.hold(entry.stream, entry.id)]


async def test_digest_of_which_one_was_claimed_is_not_posted_and_the_rest_can_be_claimed(
    broker: Broker,
    group: InterruptedGroup,
    lane: Lane,
    digest: list[Waiting],
    webhook_receiver: WebhookReceiver,
):
    first, *rest = [entry.id for entry, _ in digest]
    quick, other = broker.group("quick"), broker.group("other")
    group.meanwhile = lambda: hand_over(group, quick, NORMAL, first)

    await lane.delivery.deliver(digest)

    assert webhook_receiver.requests == []
    assert held_by(lane, digest) == []
    claimed = await other.claim(NORMAL, idle_seconds=1000, count=10)
    assert [entry.id for entry in claimed] == rest
    assert await quick.renew(NORMAL, [first]) == 1


@pytest.mark.parametrize("before", [True, False])
async def test_digest_is_no_longer_held_when_redis_goes_away_and_the_daemon_stops(
    broker: Broker,
    group: InterruptedGroup,
    lane: Lane,
    digest: list[Waiting],
    webhook_receiver: WebhookReceiver,
    before: bool,
):
    async def stop_without_redis() -> None:
        await broker.go_away()
        lane.stop.set()

    if before:
        await stop_without_redis()
    else:
        group.meanwhile = stop_without_redis

    await lane.delivery.deliver(digest)
    await broker.come_back()

    assert webhook_receiver.requests == []
    assert held_by(lane, digest) == []
