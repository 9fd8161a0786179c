"""A Redis with few connections: hops continue, and the cause is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.broker.pool import SHARED
from notifier.broker.rate_limit import RateLimits
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.sandbox.servers import Server, start_redis
from tests.support.daemons import running
from tests.support.reading import open_consumer
from tests.support.state import rows
from tests.support.waiting import until

LANES = [f"{{s}}:lane{number}" for number in range(12)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start_redis(tmp_path / "redis") as started:
        yield started


@pytest.fixture
async def group(server: Server) -> AsyncIterator[Consumer]:
    async with open_consumer(server.url) as made:
        yield made


def clients(admin: redis.Redis) -> int:
    return int(admin.info("clients")["connected_clients"])


async def test_many_commands_at_once_share_a_few_connections(server: Server, group: Consumer):
    with redis.Redis.from_url(server.url) as admin:
        await asyncio.gather(*[RateLimits(group).spent("sre") for _ in range(300)])

        assert clients(admin) <= SHARED + 1


async def test_hops_go_on_when_the_server_gives_no_more_connections(
    server: Server, group: Consumer
):
    with redis.Redis.from_url(server.url) as admin:
        await group.ensure(LANES)
        admin.config_set("maxclients", clients(admin) + 6)
        refused: list[str] = []
        done = asyncio.Event()

        async def read(lane: str) -> None:
            while not done.is_set():
                try:
                    for entry in await group.read([lane], count=1, block_seconds=0.5):
                        assert await group.hop([Move(lane, entry.id)]) == [HopResult.MOVED]
                except StreamError as exc:
                    refused.append(str(exc))
                    await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            for lane in LANES:
                tasks.create_task(read(lane))
            for _ in range(20):
                await asyncio.gather(
                    *[group.add(lane, {"a": "1"}) for lane in LANES],
                    *[RateLimits(group).spent("sre") for _ in range(50)],
                )
            async with asyncio.timeout(60):
                while any([await group.length(lane) for lane in LANES]):
                    await asyncio.sleep(0.05)
            done.set()

        assert {"maxclients" in each for each in refused} == {True}


async def test_a_server_that_gives_no_connection_at_all_is_named(
    server: Server, group: Consumer
):
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(redis.asyncio.Redis.from_url(server.url))
        await admin.config_set("maxclients", 1)

        with pytest.raises(StreamError, match="maxclients"):
            await group.length("{s}:x")


async def test_a_daemon_delivers_all_when_it_gets_few_connections(
    server: Server, database_url: str, webhook_receiver: Any, tmp_path: Path
):
    channels = tuple(load_config(None, {}).channels)
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxclients", 9)  # one for each channel alone would be more
        async with running(server.url, database_url, webhook_receiver, tmp_path) as daemons:
            await daemons.start(ready=False, TEAMS_RATE_LIMIT_REQUESTS="100000")
            for number in range(10):
                xadd_with(admin, number, channels)

            await until(lambda: len(rows(database_url)) == 10 * len(channels))

            assert "maxclients" in daemons.log()


def xadd_with(admin: redis.Redis, number: int, channels: tuple[str, ...]) -> None:
    admin.xadd(
        "teams:events", {"type": "a.b", "id": f"e{number}", "stakeholders": ",".join(channels)}
    )
