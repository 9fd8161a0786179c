"""Entries in flight belong to one process until it gives them up."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.leases import Leases
from notifier.errors import StreamError
from tests.support.broker import Broker
from tests.support.reading import SOURCE, hand_over, read_new


async def test_renewed_entry_is_not_claimed_and_counts_its_deliveries(
    client: Redis, one: Consumer, other: Consumer
):
    [entry_id] = await read_new(client, one)
    await one.give_up(SOURCE, [entry_id])

    assert await one.renew(SOURCE, [entry_id]) == 1
    assert await other.claim(SOURCE, idle_seconds=1000, count=10) == []

    await one.give_up(SOURCE, [entry_id])
    [taken] = await other.claim(SOURCE, idle_seconds=1, count=10)

    assert taken.deliveries == 2
    assert await one.renew(SOURCE, [entry_id]) == 0


async def test_entry_given_up_in_good_order_never_becomes_poison(
    client: Redis, one: Consumer, other: Consumer
):
    [entry_id] = await read_new(client, one)
    counted = []
    for owner, next_one in [(one, other), (other, one)] * 3:
        await owner.renew(SOURCE, [entry_id])
        await owner.give_up(SOURCE, [entry_id])
        [taken] = await next_one.claim(SOURCE, idle_seconds=1, count=10)
        counted.append(taken.deliveries)

    # Whoever claims it knows that it was in flight before.
    assert counted == [2] * 6


async def test_held_entries_are_renewed_until_given_up(
    client: Redis, one: Consumer, other: Consumer
):
    leases = Leases(one, lease_seconds=0.03)
    [entry_id] = await read_new(client, one)
    assert leases.hold(SOURCE, entry_id)
    assert not leases.hold(SOURCE, entry_id)
    await one.give_up(SOURCE, [entry_id])
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
    client: Redis, one: Consumer, other: Consumer
):
    leases = Leases(one, lease_seconds=0)
    [entry_id] = await read_new(client, one)
    leases.hold(SOURCE, entry_id)
    assert await leases.still_ours(SOURCE, entry_id)

    await hand_over(one, other, SOURCE, entry_id)

    assert not await leases.still_ours(SOURCE, entry_id)


async def test_nobody_knows_whose_an_entry_is_while_redis_is_away(
    broker: Broker, client: Redis, one: Consumer
):
    leases = Leases(one, lease_seconds=0)
    [entry_id] = await read_new(client, one)
    leases.hold(SOURCE, entry_id)

    await broker.go_away()
    with pytest.raises(StreamError):
        await leases.still_ours(SOURCE, entry_id)
    await broker.come_back()

    assert await leases.still_ours(SOURCE, entry_id)
