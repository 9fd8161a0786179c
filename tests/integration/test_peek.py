"""A search of a stream reads no more of it than it says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from notifier.config import load_config
from notifier.streams.connection import close, connect
from notifier.streams.peek import Fields, Look, Peek

STREAM = "s"


@pytest.fixture
async def peek(redis_url: str) -> AsyncIterator[Peek]:
    settings = load_config(None, {"REDIS_URL": redis_url}).redis
    client = connect(settings)
    for number in range(1, 101):
        await client.xadd(STREAM, {"n": str(number)}, id=f"{number}-0")
    yield Peek(client, settings)
    await close(client)


async def search(
    peek: Peek, *numbers: int, since_ms: int | None = None, limit: int = 5
) -> Look:
    wanted = {str(number).encode() for number in numbers}

    def is_wanted(fields: Fields) -> bool:
        return fields[b"n"] in wanted

    return await peek.search(
        STREAM, is_wanted, since_ms=since_ms, at_most=10, page=4, limit=limit
    )


@pytest.mark.parametrize(("number", "position"), [(1, 1), (10, 10), (91, 91), (100, 100)])
async def test_both_ends_of_a_long_stream_are_looked_at(peek: Peek, number: int, position: int):
    look = await search(peek, number)

    assert [(each.id, each.position) for each in look.spotted] == [(f"{number}-0", position)]
    assert (look.length, look.looked_at) == (100, 20)


async def test_the_middle_is_not_found_unless_its_time_is_known(peek: Peek):
    assert (await search(peek, 50)).spotted == ()

    look = await search(peek, 50, since_ms=45)

    assert [(each.id, each.position) for each in look.spotted] == [("50-0", None)]
    assert look.looked_at == 30


async def test_no_more_than_the_limit_is_returned(peek: Peek):
    look = await search(peek, *range(90, 101), limit=3)

    assert [each.id for each in look.spotted] == ["98-0", "99-0", "100-0"]
    assert look.more


async def test_what_does_not_exist_is_nothing(peek: Peek):
    assert await peek.entry("none", "1-1") is None
    assert await peek.read_up_to("none") is None
    assert await peek.read_up_to(STREAM) is None
    assert await peek.in_hand(STREAM, "1-0") is None
