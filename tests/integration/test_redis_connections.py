"""Connections to Redis that are lost, led elsewhere, or few."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.broker.hop import HopResult, Move
from notifier.broker.pool import SHARED
from notifier.broker.rate_limit import RateLimits
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.sandbox.servers import Server, start_redis
from tests.support.daemons import DaemonsAt
from tests.support.proxy import Proxy
from tests.support.reading import SOURCE, open_consumer
from tests.support.state import left_over, xadd
from tests.support.topologies import info
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
    server: Server, daemons_at: DaemonsAt
):
    channels = tuple(load_config(None, {}).channels)
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxclients", 9)  # one for each channel alone would be more
        daemons = daemons_at(server.url)
        await daemons.start(ready=False, TEAMS_RATE_LIMIT_REQUESTS="100000")
        for number in range(10):
            daemons.publish(id=f"e{number}", stakeholders=",".join(channels))

        await until(lambda: len(daemons.rows()) == 10 * len(channels))

        assert "maxclients" in daemons.log()


@pytest.fixture
async def way(redis_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(redis_url)
    way = Proxy(address.hostname or "", address.port or 0)
    async with way.serving():
        yield way


async def test_reply_of_a_read_that_is_lost_on_its_way(redis_url: str, way: Proxy):
    settings = load_config(None, {"REDIS_URL": f"redis://127.0.0.1:{way.port}/0"}).redis
    client, direct = connect(settings), redis.asyncio.Redis.from_url(redis_url)
    group = Consumer(client, settings, "one")
    try:
        await group.ensure([SOURCE])
        await group.read([SOURCE], count=10, block_seconds=1)
        reading = asyncio.create_task(group.read([SOURCE], count=10, block_seconds=2))
        await until(lambda: waiting_reads(redis_url) == 1)
        way.open.clear()
        added = [(await direct.xadd(SOURCE, {"a": "1"})).decode()]
        await until(lambda: pending(redis_url) == 1)
        way.cut()
        way.open.set()
        added += [(await direct.xadd(SOURCE, {"a": "2"})).decode()]

        entries: list[Entry] = []
        async with asyncio.timeout(60):
            while len(entries) < len(added):
                with suppress(StreamError):
                    entries += await reading
                reading = asyncio.create_task(group.read([SOURCE], count=10, block_seconds=1))
        await reading

        assert [entry.id for entry in entries] == added
        assert {entry.deliveries for entry in entries} == {1}
    finally:
        await direct.flushall()
        await direct.aclose()
        await close(client)


def pending(redis_url: str) -> int:
    with redis.Redis.from_url(redis_url) as client:
        return int(client.xpending(SOURCE, "notifier")["pending"])


def waiting_reads(redis_url: str) -> int:
    """Count the reads that wait for an entry."""
    with redis.Redis.from_url(redis_url) as client:
        return int(client.info("clients")["blocked_clients"])


AT_ONCE = ("--repl-diskless-sync-delay", "0")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with (
        start_redis(tmp_path / "one", extra_args=AT_ONCE) as one,
        start_redis(tmp_path / "two", extra_args=AT_ONCE) as two,
    ):
        with redis.Redis.from_url(two.url) as client:
            client.execute_command("REPLICAOF", "127.0.0.1", str(one.port))
        yield one, two


@pytest.fixture
async def proxy(servers: tuple[Server, Server]) -> AsyncIterator[Proxy]:
    proxy = Proxy("127.0.0.1", servers[0].port)
    async with proxy.serving():
        await until(lambda: info(servers[1], "replication").get("master_link_status") == "up")
        yield proxy


def fail_over(proxy: Proxy, old: Server, new: Server) -> None:
    """Make the replica the master; connections to the old one remain."""
    with redis.Redis.from_url(new.url) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
    with redis.Redis.from_url(old.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(new.port))
    proxy.target = ("127.0.0.1", new.port)


async def test_the_daemon_follows_the_address_and_delivers_there(
    servers: tuple[Server, Server], proxy: Proxy, daemons_at: DaemonsAt
):
    old, new = servers
    url = f"redis://127.0.0.1:{proxy.port}/0"
    daemons = daemons_at(url)
    await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
    xadd(old.url, {"type": "a.b", "id": "e1", "stakeholders": "sre,pmo"})
    await until(lambda: len(daemons.rows()) == 2)
    await until(lambda: not left_over(old.url))
    with redis.Redis.from_url(old.url) as client:
        client.wait(1, 5000)

    await asyncio.to_thread(fail_over, proxy, old, new)
    xadd(new.url, {"type": "a.b", "id": "e2", "stakeholders": "sre,pmo"})

    await until(lambda: len(daemons.rows()) == 4)
    await until(lambda: not left_over(new.url))
    await daemons.all_ready()


@pytest.mark.parametrize("by_script", [False, True], ids=["command", "script"])
async def test_a_client_asks_anew_where_its_master_is(
    servers: tuple[Server, Server], proxy: Proxy, by_script: bool
):
    old, new = servers
    settings = load_config(None, {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}).redis
    client = connect(settings)
    group = Consumer(client, settings, "one")
    try:
        await group.ensure(["s"])
        first = await group.add("s", {"a": "1"})
        [entry] = await group.read(["s"], count=1, block_seconds=0.01)
        with redis.Redis.from_url(old.url) as admin:
            admin.wait(1, 5000)
        # Several healthy connections, as in a daemon under load.
        await asyncio.gather(*[group.length("s") for _ in range(10)])
        await asyncio.to_thread(fail_over, proxy, old, new)

        async def write() -> object:
            return await (
                group.hop([Move("s", first)]) if by_script else group.add("s", {"a": "2"})
            )

        with pytest.raises(StreamError, match="replica"):
            await write()
        assert await write() == [HopResult.MOVED] if by_script else await write()
        assert entry.id == first
    finally:
        await close(client)
