"""A search of a stream reads no more of it than it says."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Fields
from notifier.broker.search import SearchResult, StreamSearch
from notifier.config import Config

STREAM = "s"


@pytest.fixture
async def peek(client: Redis, config: Config) -> StreamSearch:
    pipeline = client.pipeline(transaction=False)
    for number in range(1, 101):
        pipeline.xadd(STREAM, {"n": str(number)}, id=f"{number}-0")
    await pipeline.execute()
    return StreamSearch(client, config.redis)


async def search(
    peek: StreamSearch, *numbers: int, since_ms: int | None = None, limit: int = 5
) -> SearchResult:
    wanted = {str(number).encode() for number in numbers}

    def is_wanted(fields: Fields) -> bool:
        return fields[b"n"] in wanted

    return await peek.search(
        STREAM, is_wanted, since_ms=since_ms, at_most=10, page=4, limit=limit
    )


@pytest.mark.parametrize(("number", "position"), [(1, 1), (10, 10), (91, 91), (100, 100)])
async def test_both_ends_of_a_long_stream_are_looked_at(
    peek: StreamSearch, number: int, position: int
):
    look = await search(peek, number)

    assert [(each.id, each.position) for each in look.hits] == [(f"{number}-0", position)]
    assert (look.length, look.looked_at) == (100, 20)


async def test_the_middle_is_not_found_unless_its_time_is_known(peek: StreamSearch):
    assert (await search(peek, 50)).hits == ()

    look = await search(peek, 50, since_ms=45)

    assert [(each.id, each.position) for each in look.hits] == [("50-0", None)]
    assert look.looked_at == 30


async def test_no_more_than_the_limit_is_returned(peek: StreamSearch):
    look = await search(peek, *range(90, 101), limit=3)

    assert [each.id for each in look.hits] == ["98-0", "99-0", "100-0"]
    assert look.more


async def test_entry_in_flight_is_found_with_its_consumer(
    client: Redis, peek: StreamSearch, group: Consumer
):
    await group.ensure([STREAM])
    await group.read([STREAM], count=3, block_seconds=0.01)

    hand = await peek.in_flight(STREAM, "3-0")

    assert hand is not None
    assert (hand.consumer, hand.deliveries) == ("one", 1)
    assert await peek.in_flight(STREAM, "4-0") is None
    assert await peek.read_up_to(STREAM) == "3-0"


async def test_what_does_not_exist_is_nothing(peek: StreamSearch):
    assert await peek.entry("none", "1-1") is None
    assert await peek.read_up_to("none") is None
    assert await peek.read_up_to(STREAM) is None
    assert await peek.in_flight(STREAM, "1-0") is None
