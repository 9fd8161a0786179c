"""The group's promises, pinned one by one."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move
from notifier.config import Config
from notifier.errors import StreamError
from tests.support.broker import Broker
from tests.support.reading import SOURCE, TARGET, Joined, read, read_new


async def test_entry_that_came_before_the_group_is_read(client: Redis, join: Joined):
    entry_id = await client.xadd(SOURCE, {"a": "1"})

    assert await read(await join("one")) == [entry_id.decode()]


async def test_entry_deleted_while_pending_is_reported_and_forgotten(
    client: Redis, one: Consumer, other: Consumer
):
    [entry_id] = await read_new(client, one)
    await one.give_up(SOURCE, [entry_id])
    await client.xdel(SOURCE, entry_id)

    [gone] = await other.claim(SOURCE, idle_seconds=1, count=10)

    assert gone.fields is None
    assert (await client.xpending(SOURCE, "notifier"))["pending"] == 0


async def test_consumer_with_pending_entries_is_never_removed(
    client: Redis, one: Consumer, other: Consumer
):
    await client.xadd(SOURCE, {"a": "1"})
    await read(one)
    await read(other)

    await one.leave(SOURCE)
    await other.leave(SOURCE)

    assert [info["name"] for info in await client.xinfo_consumers(SOURCE, "notifier")] == [
        b"one"
    ]


async def test_trim_stops_at_what_any_group_has_not_acknowledged(client: Redis, one: Consumer):
    for number in range(1, 6):
        await client.xadd(SOURCE, {"a": "1"}, id=f"{number}-0")
    await client.xgroup_create(SOURCE, "another", id="0")
    await client.xreadgroup("another", "x", {SOURCE: ">"}, count=4)
    await client.xack(SOURCE, "another", "1-0", "2-0", "4-0")
    read_ids = await read(one)
    await one.hop([Move(SOURCE, entry_id, delete=False) for entry_id in read_ids])

    await one.trim(SOURCE, older_than_ms=10_000)

    assert [entry_id for entry_id, _ in await client.xrange(SOURCE)] == [b"3-0", b"4-0", b"5-0"]


async def test_trim_keeps_what_is_younger_than_the_cutoff(client: Redis, one: Consumer):
    for number in range(1, 6):
        await client.xadd(SOURCE, {"a": "1"}, id=f"{number}-0")
    await one.hop([Move(SOURCE, entry_id, delete=False) for entry_id in await read(one)])

    await one.trim(SOURCE, older_than_ms=4)

    assert [entry_id for entry_id, _ in await client.xrange(SOURCE)] == [b"4-0", b"5-0"]


@pytest.mark.fake_cannot("need replicas")
async def test_master_without_its_replicas_says_so_from_a_script_too(
    client: Redis, one: Consumer
):
    await client.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(StreamError, match="too few replicas follow it"):
            await one.hop([Move(SOURCE, "1-0", ((TARGET, {"b": "2"}),))])
    finally:
        await client.config_set("min-replicas-to-write", 0)


async def test_reader_that_waits_gets_what_is_added_meanwhile(client: Redis, one: Consumer):
    # The first read never waits.
    assert await read(one) == []
    reading = asyncio.create_task(one.read([SOURCE], count=1, block_seconds=30))
    entry_id = await client.xadd(SOURCE, {"a": "1"})

    assert [entry.id for entry in await reading] == [entry_id.decode()]


async def test_entries_are_read_by_one_consumer_each_and_in_their_order(
    client: Redis, one: Consumer, other: Consumer
):
    added = [(await client.xadd(SOURCE, {"a": "1"})).decode() for _ in range(5)]

    assert [await read(one, 2), await read(other, 2), await read(one, 2)] == [
        added[:2],
        added[2:4],
        added[4:],
    ]


async def test_entry_whose_consumer_is_not_silent_for_long_enough_is_not_claimed(
    client: Redis, one: Consumer, other: Consumer
):
    [entry_id] = await read_new(client, one)

    assert await other.claim(SOURCE, idle_seconds=60, count=10) == []
    assert await one.renew(SOURCE, [entry_id]) == 1


async def test_commands_raise_while_redis_is_away_and_work_once_it_is_back(
    broker: Broker, one: Consumer
):
    await broker.go_away()
    with pytest.raises(StreamError, match=r"check redis\.url and that the server is up"):
        await one.add(SOURCE, {"a": "1"})

    await broker.come_back()
    entry_id = await one.add(SOURCE, {"a": "1"})

    assert await read(one) == [entry_id]


@pytest.mark.fake_cannot("check a connection")
async def test_client_checks_its_connections(kind: str, config: Config):
    broker = Broker.connected(config, fake=kind == "fake", health_checks=True)
    try:
        assert await broker.client.ping()
    finally:
        await broker.client.aclose()
