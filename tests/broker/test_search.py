"""A search of a stream reads no more of it than it says."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Fields
from notifier.broker.search import SearchResult, in_flight, read_up_to, search_stream
from notifier.broker.streams import Streams

STREAM = "s"


@pytest.fixture
async def streams(client: Redis, group: Consumer) -> Streams:
    pipeline = client.pipeline(transaction=False)
    for number in range(1, 101):
        pipeline.xadd(STREAM, {"n": str(number)}, id=f"{number}-0")
    await pipeline.execute()
    return group


async def search(
    streams: Streams, *numbers: int, since_ms: int | None = None, limit: int = 5
) -> SearchResult:
    wanted = {str(number).encode() for number in numbers}

    def is_wanted(fields: Fields) -> bool:
        return fields[b"n"] in wanted

    return await search_stream(
        streams, STREAM, is_wanted, since_ms=since_ms, at_most=10, page=4, limit=limit
    )


@pytest.mark.parametrize(("number", "position"), [(1, 1), (10, 10), (91, 91), (100, 100)])
async def test_both_ends_of_a_long_stream_are_looked_at(
    streams: Streams, number: int, position: int
):
    look = await search(streams, number)

    assert [(each.id, each.position) for each in look.hits] == [(f"{number}-0", position)]
    assert (look.length, look.looked_at) == (100, 20)


async def test_the_middle_is_not_found_unless_its_time_is_known(streams: Streams):
    assert (await search(streams, 50)).hits == ()

    look = await search(streams, 50, since_ms=45)

    assert [(each.id, each.position) for each in look.hits] == [("50-0", None)]
    assert look.looked_at == 30


async def test_no_more_than_the_limit_is_returned(streams: Streams):
    look = await search(streams, *range(90, 101), limit=3)

    assert [each.id for each in look.hits] == ["98-0", "99-0", "100-0"]
    assert look.more


async def test_entry_in_flight_is_found_with_its_consumer(
    client: Redis, streams: Streams, group: Consumer
):
    await group.ensure([STREAM])
    await group.read([STREAM], count=3, block_seconds=0.01)

    hand = await in_flight(streams, STREAM, "3-0")

    assert hand is not None
    assert (hand.consumer, hand.deliveries) == ("one", 1)
    assert await in_flight(streams, STREAM, "4-0") is None
    assert await read_up_to(streams, STREAM) == "3-0"


async def test_what_does_not_exist_is_nothing(streams: Streams):
    assert await streams.entry("none", "1-1") is None
    assert await read_up_to(streams, "none") is None
    assert await read_up_to(streams, STREAM) is None
    assert await in_flight(streams, STREAM, "1-0") is None
