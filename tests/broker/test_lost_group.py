"""A group that is lost is made again where it was."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from tests.support.reading import SOURCE, TARGET, read, read_new

EVENTS = "s"


async def acknowledged(group: Consumer, *entry_ids: str) -> None:
    await group.hop([Move(EVENTS, entry_id, delete=False) for entry_id in entry_ids])


async def read_events(group: Consumer, count: int = 10) -> list[str]:
    entries = await group.read([EVENTS], count=count, block_seconds=0.01)
    taken = await group.claim(EVENTS, idle_seconds=1, count=count)
    return [entry.id for entry in [*entries, *taken]]


async def lose_group(client: Redis, group: Consumer) -> None:
    await client.xgroup_destroy(EVENTS, "notifier")
    assert await group.read([EVENTS], count=1, block_seconds=0.01) == []


async def test_lost_group_reads_again_what_was_pending_and_new_but_nothing_acknowledged(
    client: Redis, one: Consumer, other: Consumer
):
    await one.ensure([EVENTS])
    for number in range(1, 7):
        await client.xadd(EVENTS, {"a": "1"}, id=f"{number}-0")
    assert await read_events(one, 2) == ["1-0", "2-0"]
    assert await read_events(other, 2) == ["3-0", "4-0"]
    await acknowledged(one, "1-0", "2-0")
    await acknowledged(other, "4-0")

    await lose_group(client, one)

    assert sorted(await read_events(one)) == ["3-0", "5-0", "6-0"]


async def test_lost_group_whose_every_entry_was_acknowledged_reads_only_what_is_new(
    client: Redis, one: Consumer
):
    await one.ensure([EVENTS])
    await client.xadd(EVENTS, {"a": "1"}, id="9-5")
    await acknowledged(one, *await read_events(one))

    await lose_group(client, one)
    assert await read_events(one) == []

    await client.xadd(EVENTS, {"a": "1"}, id="10-0")
    assert await read_events(one) == ["10-0"]


async def test_group_lost_with_more_pending_than_a_floor_names_loses_none_of_it(
    client: Redis, one: Consumer, other: Consumer
):
    await one.ensure([EVENTS])
    pipeline = client.pipeline(transaction=False)
    for number in range(1, 703):
        pipeline.xadd(EVENTS, {"a": "1"}, id=f"{number}-0")
    await pipeline.execute()
    await read_events(one, 701)
    [last] = await read_events(other, 1)
    await acknowledged(other, last)

    await lose_group(client, one)
    again = [*await read_events(one, 1000)]

    assert len(again) == len(set(again))
    assert set(again) >= {f"{number}-0" for number in range(1, 702)}


async def test_stream_that_was_deleted_and_began_again_is_read_from_its_first_entry(
    client: Redis, one: Consumer
):
    await one.ensure([EVENTS])
    await client.xadd(EVENTS, {"a": "1"}, id="100-0")
    await acknowledged(one, *await read_events(one))
    await client.delete(EVENTS)
    await client.xadd(EVENTS, {"a": "1"}, id="20-0")
    assert await one.read([EVENTS], count=1, block_seconds=0.01) == []

    assert await read_events(one) == ["20-0"]


@pytest.mark.parametrize("made_again", [False, True])
async def test_work_that_was_done_while_its_group_was_lost_is_not_done_again(
    client: Redis, one: Consumer, made_again: bool
):
    [entry_id] = await read_new(client, one)
    await client.xgroup_destroy(SOURCE, "notifier")
    if made_again:
        await one.ensure([SOURCE])

    results = await one.hop([Move(SOURCE, entry_id, ((TARGET, {"b": "2"}),))])
    again = await one.hop([Move(SOURCE, entry_id, ((TARGET, {"b": "2"}),))])

    assert (results, again) == ([HopResult.MOVED], [HopResult.LOST])
    assert await client.xlen(TARGET) == 1
    assert await read(one) == []
    assert await read(one) == []


async def test_lost_group_is_made_again_and_reads_from_the_first_entry(
    client: Redis, one: Consumer
):
    await client.flushall()
    entry_id = await client.xadd(SOURCE, {"a": "1"})

    assert await read(one) == []
    assert await read(one) == [entry_id.decode()]


async def test_stream_that_began_again_while_it_was_read_is_read_from_its_first_entry(
    client: Redis, one: Consumer
):
    assert await read(one) == []
    reading = asyncio.create_task(one.read([SOURCE], count=10, block_seconds=30))

    pipeline = client.pipeline(transaction=True)
    pipeline.delete(SOURCE)
    pipeline.xadd(SOURCE, {"a": "1"})
    _, entry_id = await pipeline.execute()
    assert await reading == []

    assert await read(one) == [entry_id.decode()]


@pytest.mark.fake_cannot("read from a stream that is gone")
async def test_stream_that_is_gone_is_made_again_with_its_group(client: Redis, one: Consumer):
    await client.delete(SOURCE)
    assert await read(one) == []

    entry_id = await client.xadd(SOURCE, {"a": "1"})

    assert await read(one) == [entry_id.decode()]


async def test_group_that_is_there_is_left_as_it_is(client: Redis, one: Consumer):
    [entry_id] = await read_new(client, one)

    await one.ensure([SOURCE])

    assert await read(one) == []
    assert await one.renew(SOURCE, [entry_id]) == 1
