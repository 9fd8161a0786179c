"""In a full Redis, work that empties it goes on; new work waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move, MoveResult
from notifier.broker.rate_limit import RateLimits
from notifier.errors import StreamError
from tests.support.reading import SOURCE, TARGET, read_new

pytestmark = pytest.mark.fake_cannot("fill up")


@pytest.fixture
async def full(client: Redis) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Fill Redis up to its maxmemory (noeviction)."""

    async def fill() -> None:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.ResponseError, match="maxmemory"):
            await client.xadd("other", {"a": "1"})

    yield fill
    await client.config_set("maxmemory", 0)


async def test_a_hop_in_a_full_redis_is_whole_with_its_mark_and_every_target(
    client: Redis, one: Consumer, full: Callable[[], Awaitable[None]]
):
    first, second, third = await read_new(client, one, 3)
    await client.xack(
        SOURCE, "notifier", first
    )  # another process has moved it: the first of the batch moves nothing
    await client.xdel(SOURCE, first)
    await full()
    text = "x" * 50_000
    moves = [
        Move(SOURCE, entry_id, ((TARGET, {"b": text}), ("{s}:dead", {"b": text})), mark=f"{{s}}:m{entry_id}", mark_seconds=60)
        for entry_id in (first, second, third)
    ]  # fmt: skip

    results = await one.hop(moves)

    assert results == [HopResult.LOST, HopResult.MOVED, HopResult.MOVED]
    assert await client.xlen(TARGET) == await client.xlen("{s}:dead") == 2
    assert await client.exists(*(f"{{s}}:m{entry_id}" for entry_id in (second, third))) == 2
    assert await client.xlen(SOURCE) == 0


async def test_a_dead_letter_replayed_in_a_full_redis_is_in_its_lane(
    client: Redis, one: Consumer, full: Callable[[], Awaitable[None]]
):
    letter = (await client.xadd("{s}:dead", {"a": "1"})).decode()
    await full()

    move = Move("{s}:dead", letter, ((TARGET, {"b": "2"}),))
    assert await one.move("{s}:dead", [move]) == [MoveResult.MOVED]
    assert await client.xlen("{s}:dead") == 0
    assert await client.xlen(TARGET) == 1


async def test_rate_limit_goes_on_in_a_full_redis_and_room_is_asked_for(
    client: Redis, one: Consumer, full: Callable[[], Awaitable[None]]
):
    await one.require_room("s")
    await full()

    waits = await RateLimits(one).reserve(
        "sre", 3, seconds_each=10, burst=2, distance_seconds=0
    )
    with pytest.raises(StreamError, match="is full"):
        await one.require_room("s")

    assert waits[:2] == [0, 0]
    assert waits[2] > 0
    assert await client.exists("{s}:never") == 0
