"""Stream stats count the waiting entries, their age and the readers."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move
from notifier.broker.stats import EventStreamStats, StreamStats, event_stream_stats
from tests.support.backlog import KEYS, NORMAL, STREAM


async def overview(group: Consumer) -> EventStreamStats:
    return await event_stream_stats(group, STREAM, ["sre"])


async def test_streams_that_do_not_exist_hold_nothing_and_have_no_reader(
    group: Consumer,
):
    found = await overview(group)

    assert {found.events, found.outcomes, found.dead, *found.lanes.values()} == {
        StreamStats(0, 0, 0, False, 0, None, None, 0)
    }


async def test_only_what_is_not_acknowledged_waits_in_an_event_stream(
    client: Redis, group: Consumer
):
    await group.ensure([STREAM])
    for _ in range(5):
        await client.xadd(STREAM, {"type": "a.b"})
    first, *_ = await group.read([STREAM], count=3, block_seconds=0.01)
    await group.hop([Move(STREAM, first.id, delete=False)])

    events = (await overview(group)).events

    assert (events.waiting, events.pending, events.length, events.consumers) == (4, 2, 5, 1)


async def test_everything_in_a_lane_waits_and_the_oldest_entry_gives_its_age(
    client: Redis, group: Consumer
):
    await client.xadd(NORMAL, {"notification": "1"}, id="1000-0")
    await client.xadd(NORMAL, {"notification": "2"})
    await client.xadd(KEYS.dead, {"reason": "rejected"})

    found = await overview(group)

    lane = found.lanes["sre", "normal"]
    assert (lane.waiting, lane.group) == (2, False)
    assert lane.oldest_seconds > 1_000_000_000
    assert found.dead.waiting == 1


@pytest.mark.fake_cannot("read from a stream that is gone")
async def test_consumer_that_shows_itself_makes_the_group_where_there_is_none(group: Consumer):
    await group.appear(STREAM)

    events = (await overview(group)).events
    assert (events.group, events.consumers, events.length) == (True, 1, 0)


async def test_consumer_that_shows_itself_is_silent_no_longer_and_reads_nothing(
    group: Consumer,
):
    await group.ensure([STREAM])
    await group.appear(STREAM)
    await group.add(STREAM, {"type": "a.b"})

    async def silent() -> float:
        events = (await overview(group)).events
        assert (events.consumers, events.pending, events.waiting) == (1, 0, 1)
        assert events.silent_seconds is not None
        return events.silent_seconds

    async with asyncio.timeout(60):
        while await silent() < 0.03:
            await asyncio.sleep(0.005)
    began = time.monotonic()
    await group.appear(STREAM)

    # However slow the machine is: no longer than since it showed itself.
    assert await silent() < time.monotonic() - began + 0.01


async def test_entries_that_were_trimmed_before_the_group_read_them_do_not_wait(
    client: Redis, group: Consumer
):
    await group.ensure([STREAM])
    for _ in range(5):
        await client.xadd(STREAM, {"type": "a.b"})
    await group.read([STREAM], count=1, block_seconds=0.01)
    await client.xtrim(STREAM, maxlen=0, approximate=False)

    assert (await overview(group)).events.waiting == 1  # the one in flight

    await client.xadd(STREAM, {"type": "a.b"})
    assert (await overview(group)).events.waiting == 2


async def test_a_key_of_another_type_does_not_hide_the_others(client: Redis, group: Consumer):
    await client.set(KEYS.outcomes, "x")
    await client.xadd(NORMAL, {"notification": "1"})

    found = await overview(group)

    assert found.lanes["sre", "normal"].waiting == 1
    assert found.outcomes == StreamStats(0, 0, 0, False, 0, None, None, 0)
