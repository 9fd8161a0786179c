"""A hop moves an entry once and whole, or not at all."""

from __future__ import annotations

from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from tests.support.reading import SOURCE, TARGET, hand_over, read_new


async def test_hop_acknowledges_adds_and_deletes_in_one_step(client: Redis, one: Consumer):
    [entry_id] = await read_new(client, one)

    results = await one.hop([Move(SOURCE, entry_id, ((TARGET, {"b": "2", "c": b"\xff"}),))])

    assert results == [HopResult.MOVED]
    assert [fields for _, fields in await client.xrange(TARGET)] == [
        {b"b": b"2", b"c": b"\xff"}
    ]
    assert await client.xlen(SOURCE) == 0
    assert (await client.xpending(SOURCE, "notifier"))["pending"] == 0


async def test_event_claimed_by_two_consumers_is_moved_once(
    client: Redis, one: Consumer, other: Consumer
):
    [entry_id] = await read_new(client, one)
    await hand_over(one, other, SOURCE, entry_id)
    move = Move(SOURCE, entry_id, ((TARGET, {"b": "2"}),))

    assert await other.hop([move]) == [HopResult.MOVED]
    assert await one.hop([move]) == [HopResult.LOST]
    assert await client.xlen(TARGET) == 1


async def test_entry_that_was_acknowledged_but_not_deleted_is_not_moved(
    client: Redis, one: Consumer
):
    [entry_id] = await read_new(client, one)
    await client.xack(SOURCE, "notifier", entry_id)

    assert await one.hop([Move(SOURCE, entry_id, ((TARGET, {"b": "2"}),))]) == [HopResult.LOST]
    assert await client.xlen(TARGET) == 0


async def test_second_event_with_a_seen_id_is_acknowledged_and_dropped(
    client: Redis, one: Consumer
):
    first, second = await read_new(client, one, 2)

    def move(entry_id: str) -> Move:
        return Move(
            SOURCE,
            entry_id,
            ((TARGET, {"b": "2"}),),
            delete=False,
            mark="{s}:seen:x",
            mark_seconds=60,
        )

    assert await one.hop([move(first), move(second)]) == [
        HopResult.MOVED,
        HopResult.DUPLICATE,
    ]
    assert await client.xlen(TARGET) == 1
    assert await client.xlen(SOURCE) == 2
    assert (await client.xpending(SOURCE, "notifier"))["pending"] == 0
    assert 0 < await client.ttl("{s}:seen:x") <= 60


async def test_entry_that_stays_in_its_stream_is_acknowledged_and_not_read_again(
    client: Redis, one: Consumer
):
    await client.xadd("s", {"a": "1"})
    await one.ensure(["s"])
    [entry] = await one.read(["s"], count=10, block_seconds=0.01)

    assert await one.hop([Move("s", entry.id, ((TARGET, {"b": "2"}),), delete=False)]) == [
        HopResult.MOVED
    ]
    assert await client.xlen("s") == 1
    assert await one.read(["s"], count=10, block_seconds=0.01) == []
    assert (await client.xpending("s", "notifier"))["pending"] == 0


async def test_every_target_gets_its_own_fields_and_a_lost_move_adds_to_none(
    client: Redis, one: Consumer
):
    first, second, third = await read_new(client, one, 3)
    await one.hop([Move(SOURCE, second)])

    results = await one.hop(
        [
            Move(
                SOURCE, entry_id, ((TARGET, {"of": entry_id}), ("{s}:dead", {"why": entry_id}))
            )
            for entry_id in (first, second, third)
        ]
    )

    assert results == [HopResult.MOVED, HopResult.LOST, HopResult.MOVED]
    moved = [{b"of": first.encode()}, {b"of": third.encode()}]
    assert [fields for _, fields in await client.xrange(TARGET)] == moved
    buried = [{b"why": first.encode()}, {b"why": third.encode()}]
    assert [fields for _, fields in await client.xrange("{s}:dead")] == buried
