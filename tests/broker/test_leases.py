"""Entries in flight belong to one process until it gives them up or falls silent."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from notifier.broker.leases import Leases
from notifier.errors import StreamError
from tests.support.broker import Broker
from tests.support.reading import SOURCE, Joined, hand_over, read


async def test_renewed_entry_is_not_claimed_and_counts_its_deliveries(
    client: redis.asyncio.Redis, join: Joined
):
    owner, other = await join("owner"), await join("other")
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(owner)
    await owner.give_up(SOURCE, [entry_id])

    assert await owner.renew(SOURCE, [entry_id]) == 1
    assert await other.claim(SOURCE, idle_seconds=1000, count=10) == []

    await owner.give_up(SOURCE, [entry_id])
    [taken] = await other.claim(SOURCE, idle_seconds=1, count=10)

    assert taken.deliveries == 2
    assert await owner.renew(SOURCE, [entry_id]) == 0


async def test_entry_given_up_in_good_order_never_becomes_poison(
    client: redis.asyncio.Redis, join: Joined
):
    one, other = await join("one"), await join("other")
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(one)
    counted = []
    for owner, next_one in [(one, other), (other, one)] * 3:
        await owner.renew(SOURCE, [entry_id])
        await owner.give_up(SOURCE, [entry_id])
        [taken] = await next_one.claim(SOURCE, idle_seconds=1, count=10)
        counted.append(taken.deliveries)

    # Whoever claims it knows that it was in flight before.
    assert counted == [2] * 6


async def test_held_entries_are_renewed_until_given_up(
    client: redis.asyncio.Redis, join: Joined
):
    owner, other = await join("owner"), await join("other")
    leases = Leases(owner, lease_seconds=0.03)
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(owner)
    assert leases.hold(SOURCE, entry_id)
    assert not leases.hold(SOURCE, entry_id)
    await owner.give_up(SOURCE, [entry_id])
    renewing = asyncio.create_task(leases.run())
    async with asyncio.timeout(60):
        while (await client.xpending_range(SOURCE, "notifier", "-", "+", 1))[0][
            "time_since_delivered"
        ] > 1000:
            await asyncio.sleep(0.01)
    renewing.cancel()

    await leases.give_up_all()

    assert [entry.id for entry in await other.claim(SOURCE, idle_seconds=1, count=1)] == [
        entry_id
    ]


async def test_lease_of_an_entry_that_another_consumer_claimed_is_not_renewed(
    client: redis.asyncio.Redis, join: Joined
):
    owner, other = await join("owner"), await join("other")
    leases = Leases(owner, lease_seconds=0)
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(owner)
    leases.hold(SOURCE, entry_id)
    assert await leases.still_ours(SOURCE, entry_id)

    await hand_over(owner, other, SOURCE, entry_id)

    assert not await leases.still_ours(SOURCE, entry_id)


async def test_nobody_knows_whose_an_entry_is_while_redis_is_away(
    broker: Broker, client: redis.asyncio.Redis, join: Joined
):
    owner = await join("owner")
    leases = Leases(owner, lease_seconds=0)
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(owner)
    leases.hold(SOURCE, entry_id)

    await broker.go_away()
    with pytest.raises(StreamError):
        await leases.still_ours(SOURCE, entry_id)
    await broker.come_back()

    assert await leases.still_ours(SOURCE, entry_id)
