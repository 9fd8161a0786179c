"""An idle process is known at every stream that it reads."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from notifier.broker.stats import StreamStats, event_stream_stats
from tests.support.daemons import Daemons
from tests.support.reading import open_consumer

STREAM = "teams:events"

Look = Callable[[], Awaitable[list[StreamStats]]]


@pytest.fixture
async def look(redis_url: str) -> AsyncIterator[Look]:
    """Look at the event stream, the outcomes and the lanes of two channels."""
    async with open_consumer(redis_url) as streams:

        async def states() -> list[StreamStats]:
            found = await event_stream_stats(streams, STREAM, ["sre", "pmo"])
            return [found.events, found.outcomes, *found.lanes.values()]

        yield states


async def once(look: Look, wanted: Callable[[StreamStats], bool]) -> list[StreamStats]:
    """Return what is seen as soon as every stream is as wanted."""
    async with asyncio.timeout(60):
        while True:
            found = await look()
            if all(map(wanted, found)):
                return found
            await asyncio.sleep(0.05)


async def test_a_quiet_daemon_is_known_at_each_of_its_streams_until_it_leaves(
    daemons: Daemons, look: Look
):
    process = await daemons.start()

    found = await once(look, lambda state: state.consumers == 1)
    assert len(found) == 6
    assert {(state.group, state.waiting, state.silent_seconds is None) for state in found} == {
        (True, 0, False)
    }

    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert {(state.consumers, state.silent_seconds) for state in await look()} == {(0, None)}
