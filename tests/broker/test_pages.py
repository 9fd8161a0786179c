"""Pages of a stream come in pieces that fit."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from notifier.broker.entries import Page
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from tests.support.backlog import STREAM, calm, publish
from tests.support.broker import Broker


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
