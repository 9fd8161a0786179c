"""Commands and checks of operators on a cluster and behind Sentinels."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import redis

from notifier.broker.server import ServerInfo, read_servers
from notifier.ops.doctor.redis import settings_findings
from notifier.sandbox.servers import Server, start_redis
from tests.support.daemons import Daemons, DaemonsAt
from tests.support.processes import run
from tests.support.reading import open_consumer
from tests.support.topologies import Cluster, Replicated
from tests.support.waiting import until


@pytest.fixture(params=["cluster", "sentinels"])
def redis_address(
    request: pytest.FixtureRequest, shards: Cluster, sentinels: Replicated
) -> str:
    return shards.url if request.param == "cluster" else sentinels.url


def printed(daemons: Daemons, *arguments: str, exits: tuple[int, ...] = (0,)) -> str:
    env = daemons.environment() | {"COLUMNS": "200", "HOME": os.environ.get("HOME", "/")}
    done = run(*arguments, env=env, seconds=120)
    assert done.returncode in exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


async def test_operators_see_streams_lanes_and_dead_letters(
    redis_address: str, daemons_at: DaemonsAt
):
    daemons = daemons_at(redis_address)
    await daemons.start()
    daemons.receiver.answer(400, times=1)
    printed(daemons, "publish", "a.b", "--stakeholders", "sre", "--id", "refused")
    await until(lambda: len(daemons.rows()) == 1)

    findings = json.loads(printed(daemons, "doctor", "--json", exits=(0, 1)))
    of_redis = ("redis", "redis rights", "stages", "dead letters", "old lanes")
    wrong = [
        each
        for each in findings["findings"]
        if each["check"] in of_redis and each["level"] == "fault"
    ]
    assert wrong == []
    assert {each["check"] for each in findings["findings"]} >= set(of_redis)

    seen = json.loads(printed(daemons, "top", "--json"))
    [stream] = seen["streams"]
    assert stream["dead_letters"] == 1

    [letter] = json.loads(printed(daemons, "dlq", "list", "--json"))
    assert "rejected" in printed(daemons, "dlq", "show", letter["id"])
    assert "sre" in printed(daemons, "lanes", "list")
    assert "refused" in printed(daemons, "trace", "refused")

    async with aiohttp.ClientSession() as session:
        for page in (
            "",
            "/critical",
            "/dead-letters",
            "/notifications",
            "/search?q=refused",
        ):
            async with session.get(f"{daemons.admin_urls[0]}/console{page}") as answer:
                text = await answer.text()
                assert answer.status == 200
                assert "did not answer" not in text, page
        assert "SRE" in text

    printed(daemons, "dlq", "replay", letter["id"])
    await until(lambda: [row["status"] for row in daemons.rows()] == ["delivered"])
    again = printed(daemons, "replay", "--since", "2020-01-01T00:00", "--dry-run")
    assert "0 would be replayed" in again


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
