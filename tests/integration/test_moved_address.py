"""The address of Redis moves, and the old server lives on as a replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.sandbox.servers import Server, start_redis
from tests.support.daemons import running
from tests.support.proxy import Proxy
from tests.support.state import left_over, rows, xadd
from tests.support.topologies import info
from tests.support.waiting import until

FAST = ("--repl-diskless-sync-delay", "0")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with (
        start_redis(tmp_path / "one", extra_args=FAST) as one,
        start_redis(tmp_path / "two", extra_args=FAST) as two,
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
    servers: tuple[Server, Server],
    proxy: Proxy,
    database_url: str,
    webhook_receiver: Any,
    tmp_path: Path,
):
    old, new = servers
    url = f"redis://127.0.0.1:{proxy.port}/0"
    async with running(url, database_url, webhook_receiver, tmp_path) as daemons:
        await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
        xadd(old.url, {"type": "a.b", "id": "e1", "stakeholders": "sre,pmo"})
        await until(lambda: len(rows(database_url)) == 2)
        await until(lambda: not left_over(old.url))
        with redis.Redis.from_url(old.url) as client:
            client.wait(1, 5000)

        await asyncio.to_thread(fail_over, proxy, old, new)
        xadd(new.url, {"type": "a.b", "id": "e2", "stakeholders": "sre,pmo"})

        await until(lambda: len(rows(database_url)) == 4)
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
