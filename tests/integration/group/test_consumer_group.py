"""The group's promises, pinned one by one on a real Redis."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from notifier.config import load_config
from notifier.errors import StreamError
from notifier.streams.connection import connect
from notifier.streams.group import ConsumerGroup
from notifier.streams.hop import HopResult, Move
from notifier.streams.leases import Leases
from tests.integration.group.reading import SOURCE, TARGET, Joined, read


async def test_entry_that_came_before_the_group_is_read(
    client: redis.asyncio.Redis, join: Joined
):
    entry_id = await client.xadd(SOURCE, {"a": "1"})

    assert await read(await join("one")) == [entry_id.decode()]


async def test_hop_acknowledges_adds_and_deletes_in_one_step(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(group)

    results = await group.hop([Move(SOURCE, entry_id, ((TARGET, {"b": "2", "c": b"\xff"}),))])

    assert results == [HopResult.MOVED]
    assert [fields for _, fields in await client.xrange(TARGET)] == [
        {b"b": b"2", b"c": b"\xff"}
    ]
    assert await client.xlen(SOURCE) == 0
    assert (await client.xpending(SOURCE, "notifier"))["pending"] == 0


async def test_event_claimed_by_two_consumers_is_moved_once(
    client: redis.asyncio.Redis, join: Joined
):
    slow, quick = await join("slow"), await join("quick")
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(slow)
    await slow.give_up(SOURCE, [entry_id])
    [taken] = await quick.claim(SOURCE, idle_seconds=1, count=10)
    move = Move(SOURCE, entry_id, ((TARGET, {"b": "2"}),))

    assert taken.id == entry_id
    assert await quick.hop([move]) == [HopResult.MOVED]
    assert await slow.hop([move]) == [HopResult.LOST]
    assert await client.xlen(TARGET) == 1


async def test_second_event_with_a_seen_id_is_acknowledged_and_dropped(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")
    for _ in range(2):
        await client.xadd(SOURCE, {"a": "1"})
    first, second = await read(group)

    def move(entry_id: str) -> Move:
        return Move(
            SOURCE,
            entry_id,
            ((TARGET, {"b": "2"}),),
            delete=False,
            mark="{s}:seen:x",
            mark_seconds=60,
        )

    assert await group.hop([move(first), move(second)]) == [
        HopResult.MOVED,
        HopResult.DUPLICATE,
    ]
    assert await client.xlen(TARGET) == 1
    assert await client.xlen(SOURCE) == 2
    assert (await client.xpending(SOURCE, "notifier"))["pending"] == 0
    assert 0 < await client.ttl("{s}:seen:x") <= 60


async def test_renewed_lease_is_not_taken_over_and_counts_its_deliveries(
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


async def test_what_is_given_up_in_good_order_never_becomes_poison(
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

    # Whoever takes it over knows that it was in somebody's hand.
    assert counted == [2] * 6


async def test_entry_deleted_while_pending_is_reported_and_forgotten(
    client: redis.asyncio.Redis, join: Joined
):
    owner, other = await join("owner"), await join("other")
    await client.xadd(SOURCE, {"a": "1"})
    [entry_id] = await read(owner)
    await owner.give_up(SOURCE, [entry_id])
    await client.xdel(SOURCE, entry_id)

    [gone] = await other.claim(SOURCE, idle_seconds=1, count=10)

    assert gone.fields is None
    assert (await client.xpending(SOURCE, "notifier"))["pending"] == 0


async def test_lost_group_is_made_again_and_reads_from_the_first_entry(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")
    await client.flushall()
    entry_id = await client.xadd(SOURCE, {"a": "1"})

    assert await read(group) == []
    assert await read(group) == [entry_id.decode()]


async def test_consumer_with_pending_entries_is_never_removed(
    client: redis.asyncio.Redis, join: Joined
):
    busy, idle = await join("busy"), await join("idle")
    await client.xadd(SOURCE, {"a": "1"})
    await read(busy)
    await read(idle)

    await busy.leave(SOURCE)
    await idle.leave(SOURCE)

    assert [info["name"] for info in await client.xinfo_consumers(SOURCE, "notifier")] == [
        b"busy"
    ]


async def test_trim_stops_at_what_any_group_has_not_acknowledged(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")
    for number in range(1, 6):
        await client.xadd(SOURCE, {"a": "1"}, id=f"{number}-0")
    await client.xgroup_create(SOURCE, "another", id="0")
    await client.xreadgroup("another", "x", {SOURCE: ">"}, count=4)
    await client.xack(SOURCE, "another", "1-0", "2-0", "4-0")
    read_ids = await read(group)
    await group.hop([Move(SOURCE, entry_id, delete=False) for entry_id in read_ids])

    await group.trim(SOURCE, older_than_ms=10_000)

    assert [entry_id for entry_id, _ in await client.xrange(SOURCE)] == [b"3-0", b"4-0", b"5-0"]


async def test_trim_keeps_what_is_younger_than_the_cutoff(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")
    for number in range(1, 6):
        await client.xadd(SOURCE, {"a": "1"}, id=f"{number}-0")
    await group.hop([Move(SOURCE, entry_id, delete=False) for entry_id in await read(group)])

    await group.trim(SOURCE, older_than_ms=4)

    assert [entry_id for entry_id, _ in await client.xrange(SOURCE)] == [b"4-0", b"5-0"]


async def test_rate_limit_is_shared_by_all_processes(join: Joined):
    one, two = await join("one"), await join("two")

    async def reserve(group: ConsumerGroup, count: int) -> list[float]:
        return await group.reserve(
            "sre", count, seconds_each=10_000, burst=4, distance_seconds=0
        )

    waits = [
        *await reserve(one, 2),
        *await reserve(two, 2),
        *await reserve(one, 1),
        *await reserve(two, 1),
    ]

    assert waits[:4] == [0, 0, 0, 0]
    assert 9_900 < waits[4] <= 10_000
    assert 19_900 < waits[5] <= 20_000


async def test_requests_in_a_burst_keep_their_distance(join: Joined):
    group = await join("one")

    waits = await group.reserve("sre", 3, seconds_each=1, burst=10, distance_seconds=5_000)

    assert waits[0] == 0
    assert waits[1:] == [5_000, 10_000]


async def test_rate_limit_does_not_wait_for_a_clock_that_went_back(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")

    async def reserve() -> float:
        [wait] = await group.reserve("sre", 1, seconds_each=1000, burst=1, distance_seconds=1)
        return wait

    assert await reserve() == 0
    ahead_ms = 360_000_000
    for name, value in (await client.hgetall("teams:rate:sre")).items():
        await client.hset("teams:rate:sre", name, str(float(value) + ahead_ms))

    assert 900 < await group.spent("sre") <= 1000
    assert 900 < await reserve() <= 1000
    assert 1900 < await reserve() <= 2000


async def test_pause_is_seen_by_every_process_and_a_shorter_one_does_not_end_it(join: Joined):
    one, two = await join("one"), await join("two")

    await one.pause("sre", 10_000)
    await two.pause("sre", 5)

    paused, free = await two.pauses(["sre", "pmo"])
    assert 9_900 < paused <= 10_000
    assert free == 0


async def test_held_entries_are_renewed_until_given_up(
    client: redis.asyncio.Redis, join: Joined
):
    owner, other = await join("owner"), await join("other")
    leases = Leases(owner, lease_seconds=0.15)
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


async def test_server_that_is_away_is_a_clear_error_without_the_password():
    settings = load_config(None, {"REDIS_URL": "redis://:topsecret@127.0.0.1:1/0"}).redis
    client = connect(settings)
    group = ConsumerGroup(client, settings, "one")

    with pytest.raises(StreamError, match=r"127\.0\.0\.1:1") as caught:
        await group.read([SOURCE], count=1, block_seconds=0.01)

    assert "topsecret" not in str(caught.value)
    await client.aclose()


async def test_master_without_its_replicas_says_so_from_a_script_too(
    client: redis.asyncio.Redis, join: Joined
):
    group = await join("one")
    await client.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(StreamError, match="failed: NOREPLICAS Not enough good replicas"):
            await group.hop([Move(SOURCE, "1-0", ((TARGET, {"b": "2"}),))])
    finally:
        await client.config_set("min-replicas-to-write", 0)
