"""Pages and searches of a stream read no more of it than they say."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Fields, Page
from notifier.broker.search import SearchResult, in_flight, read_up_to, search_stream
from notifier.broker.streams import Streams
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from tests.support.backlog import STREAM, calm, publish
from tests.support.broker import Broker

LONG = "s"


@pytest.fixture
async def streams(client: Redis, group: Consumer) -> Streams:
    pipeline = client.pipeline(transaction=False)
    for number in range(1, 101):
        pipeline.xadd(LONG, {"n": str(number)}, id=f"{number}-0")
    await pipeline.execute()
    return group


async def search(
    streams: Streams, *numbers: int, since_ms: int | None = None, limit: int = 5
) -> SearchResult:
    wanted = {str(number).encode() for number in numbers}

    def is_wanted(fields: Fields) -> bool:
        return fields[b"n"] in wanted

    return await search_stream(
        streams, LONG, is_wanted, since_ms=since_ms, at_most=10, page=4, limit=limit
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
    await group.ensure([LONG])
    await group.read([LONG], count=3, block_seconds=0.01)

    hand = await in_flight(streams, LONG, "3-0")

    assert hand is not None
    assert (hand.consumer, hand.deliveries) == ("one", 1)
    assert await in_flight(streams, LONG, "4-0") is None
    assert await read_up_to(streams, LONG) == "3-0"


async def test_what_does_not_exist_is_nothing(streams: Streams):
    assert await streams.entry("none", "1-1") is None
    assert await read_up_to(streams, "none") is None
    assert await read_up_to(streams, LONG) is None
    assert await in_flight(streams, LONG, "1-0") is None


@pytest.mark.parametrize("newest_first", [False, True])
async def test_page_is_whole_though_it_comes_in_pieces(
    client: Redis, broker: Broker, newest_first: bool
):
    added = await publish(client, [{**calm(n), "note": "x" * 3_000_000} for n in range(6)])
    if newest_first:
        added.reverse()
    streams = broker.group("one")

    async def read(start: str) -> Page:
        if newest_first:
            return await streams.newest(STREAM, before=start, count=5)
        return await streams.between(STREAM, start, "+", count=5)

    page = await read("+" if newest_first else "-")
    rest = await read(f"({page[-1][0]}")

    assert [entry_id for entry_id, _ in page] == added[:5]
    assert [entry_id for entry_id, _ in rest] == added[5:]
    assert all(len(fields[b"note"]) == 3_000_000 for _, fields in page)


async def test_entry_that_is_too_large_is_named_and_is_no_event(client: Redis, broker: Broker):
    await publish(client, [{**calm(1), "note": "x" * 9_000_000}, calm(2)])

    [(large_id, large), (_, small)] = await broker.group("one").between(
        STREAM, "-", "+", count=10
    )

    assert list(large) == [b"too_large_bytes"]
    assert small[b"id"] == b"n2"
    with pytest.raises(EventError):
        parse_entry(STREAM, large_id, large, max_bytes=1_000_000)
