"""What went ahead of its group goes nowhere a second time, whatever becomes of group and stream."""

from __future__ import annotations

import pytest
import redis.asyncio

from notifier.streams import hop as hops
from notifier.streams.group import ConsumerGroup
from notifier.streams.hop import HopResult, Move
from tests.support.backlog import (
    AHEAD,
    KEYS,
    STREAM,
    URGENT,
    calm,
    publish,
)


def ahead(entry_id: str, mark: str = "x") -> Move:
    return Move(
        STREAM, entry_id, ((URGENT, {"a": "1"}),), delete=False, mark=KEYS.seen(mark), mark_seconds=60, ahead=True,
    )  # fmt: skip


def regular(entry_id: str, mark: str = "x") -> Move:
    return Move(
        STREAM, entry_id, ((URGENT, {"a": "1"}),), delete=False, mark=KEYS.seen(mark), mark_seconds=60,
    )  # fmt: skip


async def read(group: ConsumerGroup, count: int = 100) -> list[str]:
    return [e.id for e in await group.read([STREAM], count=count, block_seconds=0.01)]


async def test_it_goes_nowhere_a_second_time_however_late_the_group_comes_to_it(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    [entry_id] = await publish(client, [calm(1)])
    await group.ensure([STREAM])
    assert await group.hop([ahead(entry_id)]) == [HopResult.MOVED]
    # Its mark lives a day only.
    await client.delete(KEYS.seen("x"))

    assert await read(group) == [entry_id]
    assert await group.hop([regular(entry_id)]) == [HopResult.WAS_AHEAD]

    assert await client.xlen(URGENT) == 1
    assert await client.exists(AHEAD) == 0
    assert 0 < await client.ttl(KEYS.seen("x")) <= 60


async def test_what_became_a_dead_letter_after_a_reload_is_not_one_if_it_had_gone_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    [entry_id] = await publish(client, [calm(1)])
    await group.ensure([STREAM])
    await group.hop([ahead(entry_id)])
    await read(group)

    letter = Move(STREAM, entry_id, ((KEYS.dead, {"a": "1"}),), delete=False)
    assert await group.hop([letter]) == [HopResult.WAS_AHEAD]

    assert await client.exists(KEYS.dead) == 0


async def test_what_the_group_has_read_or_another_has_moved_does_not_go_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    first, second, gone = await publish(client, [calm(1), calm(2), calm(3)])
    await group.ensure([STREAM])
    assert await read(group, 1) == [first]
    await client.xdel(STREAM, gone)

    assert await group.hop([ahead(first, "1"), ahead(gone, "3"), ahead(second, "2")]) == [
        HopResult.LOST, HopResult.LOST, HopResult.MOVED,
    ]  # fmt: skip
    assert await group.hop([ahead(second, "other")]) == [HopResult.LOST]

    assert await client.xlen(URGENT) == 1
    assert await client.exists(KEYS.seen("1"), KEYS.seen("3"), KEYS.seen("other")) == 0


async def test_the_second_of_an_id_is_dropped_by_the_group_and_not_ahead_of_it(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    first, second = await publish(client, [calm(1), calm(1)])
    await group.ensure([STREAM])

    assert await group.hop([ahead(first), ahead(second)]) == [
        HopResult.MOVED,
        HopResult.DUPLICATE,
    ]
    assert (await client.xpending(STREAM, "notifier"))["pending"] == 0
    await read(group)
    assert await group.hop([regular(first), regular(second)]) == [
        HopResult.WAS_AHEAD,
        HopResult.DUPLICATE,
    ]

    assert await client.xlen(URGENT) == 1


async def test_a_group_that_is_lost_does_not_deliver_again_what_went_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    first, second = await publish(client, [calm(1), calm(2)])
    await group.ensure([STREAM])
    assert await read(group, 1) == [first]
    await group.hop([regular(first, "1"), ahead(second, "2")])
    await client.delete(KEYS.seen("1"), KEYS.seen("2"))
    await client.xgroup_destroy(STREAM, "notifier")

    assert await group.hop([ahead(second, "2")]) == [HopResult.LOST]
    await group.ensure([STREAM])
    assert await read(group) == [second]
    assert await group.hop([regular(second, "2")]) == [HopResult.WAS_AHEAD]

    assert await client.xlen(URGENT) == 2


async def test_what_went_ahead_in_a_stream_that_was_deleted_is_forgotten_with_it(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    await client.xadd(STREAM, {"a": "1"}, id="5-1")
    await client.xadd(STREAM, {"a": "1"}, id="5-2")
    await group.ensure([STREAM])
    await read(group, 1)
    await group.hop([regular("5-1", "1"), ahead("5-2", "2")])
    await client.delete(STREAM, KEYS.seen("2"))
    # Another stream of the same name, whose ids begin anew.
    await client.xadd(STREAM, {"a": "1"}, id="1-1")
    await group.ensure([STREAM])
    await client.xadd(STREAM, {"a": "1"}, id="5-2")

    assert await read(group) == ["1-1", "5-2"]
    assert await group.hop([regular("5-2", "2")]) == [HopResult.MOVED]


async def test_what_was_trimmed_before_the_group_came_to_it_leaves_nothing_behind(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    for number in range(1, 4):
        await client.xadd(STREAM, {"a": "1"}, id=f"{number}-1")
    await group.ensure([STREAM])
    await group.hop([ahead("2-1", "2")])
    await client.xdel(STREAM, "2-1")

    await group.hop([regular(entry_id, entry_id) for entry_id in await read(group)])

    assert await client.exists(AHEAD) == 0


async def test_no_more_go_ahead_than_redis_is_to_remember(
    client: redis.asyncio.Redis, group: ConsumerGroup, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hops, "_MOST_AHEAD", 2)
    entry_ids = await publish(client, [calm(number) for number in range(3)])
    await group.ensure([STREAM])

    results = await group.hop([ahead(entry_id, entry_id) for entry_id in entry_ids])

    assert results == [HopResult.MOVED, HopResult.MOVED, HopResult.LOST]
    await read(group)
    await group.hop([regular(entry_id, entry_id) for entry_id in entry_ids])
    assert await client.xlen(URGENT) == 3
