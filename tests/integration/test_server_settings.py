"""A server that would lose what it has accepted is found out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from notifier.broker.server import ServerInfo, read_servers
from notifier.ops.doctor.redis import settings_findings
from notifier.sandbox.servers import Server, start_redis
from tests.support.reading import open_consumer
from tests.support.topologies import Cluster


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[Server]:
    """A Redis as somebody installs it for a cache."""
    words = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru", "--maxmemory", "64mb"]
    server = start_redis(tmp_path / "redis", extra_args=words)
    yield server
    server.kill()  # it would not stop cleanly while it writes its first append-only file


async def ask(url: str, *, ask_config: bool = True) -> list[ServerInfo]:
    async with open_consumer(url) as streams:
        return await read_servers(streams, ask_config=ask_config, now=time.time)


async def test_a_user_of_few_rights_is_told_so_and_leaves_no_trace_of_config(careless: Server):
    with redis.Redis.from_url(careless.url) as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">pw", "+ping")
        client.execute_command("ACL", "SETUSER", "asks", "on", ">pw", "+info")

    [few] = await ask(careless.url.replace("//", "//few:pw@"), ask_config=False)
    [asks] = await ask(careless.url.replace("//", "//asks:pw@"), ask_config=False)
    [curious] = await ask(careless.url.replace("//", "//asks:pw@"), ask_config=True)

    assert few == ServerInfo(refused=True)
    assert asks.maxmemory_policy == "allkeys-lru"
    assert curious == asks
    with redis.Redis.from_url(careless.url) as client:
        refused = [(entry["username"], entry["object"]) for entry in client.acl_log()]
    assert ("few", "info") in refused


async def test_every_master_of_a_cluster_is_asked(shards: Cluster):
    with redis.Redis.from_url(shards.masters[1].url) as client:
        client.config_set("maxmemory-policy", "volatile-lru")

    found = await ask(shards.url)

    assert {server.node for server in found} == {
        f"127.0.0.1:{server.port}" for server in shards.masters
    }
    [finding] = [finding for server in found for finding in settings_findings(server)]
    assert finding.where == f"127.0.0.1:{shards.masters[1].port}"
