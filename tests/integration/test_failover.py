"""Redis fails over while daemons run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio.cluster import ClusterNode
from redis.sentinel import Sentinel

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.keys import Keys
from notifier.config import load_config
from notifier.errors import StreamError
from tests.support.commands import command
from tests.support.daemons import Daemons, DaemonsAt
from tests.support.reading import open_consumer
from tests.support.state import left_over
from tests.support.topologies import (
    SERVICE,
    Cluster,
    Replicated,
    cluster,
    event,
    replicated,
)
from tests.support.waiting import until

STREAMS = ("teams:events", "claims:a", "claims:b")
"""Event streams whose slots lie on three different masters."""


@pytest.fixture
def own_sentinels(tmp_path: Path) -> Iterator[Replicated]:
    with replicated(tmp_path / "servers") as servers:
        yield servers


class Producer:
    """Publishes events one by one through the Sentinels until confirmed."""

    def __init__(self, servers: Replicated) -> None:
        self._master: redis.Redis = Sentinel(
            [("127.0.0.1", port) for port in servers.sentinels], socket_timeout=1
        ).master_for(SERVICE, socket_timeout=1)
        self.published: list[str] = []
        self.stop = asyncio.Event()

    async def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            try:
                await asyncio.to_thread(self._master.xadd, "teams:events", dict(event(number)))  # type: ignore[arg-type]
            except redis.RedisError:
                await asyncio.sleep(0.1)
                continue
            self.published.append(f"e{number}")
            number += 1
            await asyncio.sleep(0.01)

    async def another(self, count: int) -> None:
        wanted = len(self.published) + count
        await until(lambda: len(self.published) >= wanted, 60)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "how",
    ["the master is killed", pytest.param("an operator asks for it", marks=pytest.mark.slow)],
)
async def test_after_a_promotion_the_daemon_goes_on_and_delivers_what_the_new_master_has(
    own_sentinels: Replicated, how: str, daemons_at: DaemonsAt
):
    daemons = daemons_at(own_sentinels.url)
    await daemons.start()
    await daemons.start()
    producer = Producer(own_sentinels)
    publishing = asyncio.create_task(producer.run())
    await producer.another(30)
    await until(lambda: len(daemons.rows()) >= 10)

    if how == "the master is killed":
        own_sentinels.master.kill()
    else:
        await until(own_sentinels.fail_over, 60)
    # A demoted master takes entries until it knows; the promoted one never sees them.
    await until(own_sentinels.promoted, 100)
    # The next one in the list may have been under way to the old master just then.
    await producer.another(1)
    promoted_at = len(producer.published)
    await producer.another(30)
    producer.stop.set()
    await publishing

    with redis.Redis.from_url(own_sentinels.replica.url, decode_responses=True) as client:
        kept = {fields["id"] for _, fields in client.xrange("teams:events")}
    assert kept >= set(producer.published[promoted_at:])
    await until(lambda: {row["event_id"] for row in daemons.rows()} >= kept, 60)
    assert {row["status"] for row in daemons.rows()} == {"delivered"}
    await until(lambda: not left_over(own_sentinels.replica.url), 60)
    posted = {request.headers["webhook-id"] for request in daemons.receiver.requests}
    assert posted >= {str(row["id"]) for row in daemons.rows()}


async def test_no_sentinel_or_no_such_master_is_a_clear_error(
    sentinels: Replicated, database_url: str
):
    wrong = sentinels.url.replace(f"/{SERVICE}", "/another").replace("//", "//u:topsecret@")
    async with open_consumer(wrong) as group:
        with pytest.raises(StreamError, match="no Sentinel answers that knows") as caught:
            await group.length("teams:events")

    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("login", ["", "?sentinel_username=default&sentinel_password=wrong"])
async def test_a_login_that_the_sentinels_refuse_is_said_to_be_the_fault(
    sentinels: Replicated, login: str
):
    with ExitStack() as stack:
        for port in sentinels.sentinels:
            admin = stack.enter_context(redis.Redis(port=port, protocol=2))
            admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">right")
            stack.callback(admin.execute_command, "ACL", "SETUSER", "default", "nopass")
        async with open_consumer(sentinels.url + login) as group:
            with pytest.raises(
                StreamError, match=r"a Sentinel refuses the login.*sentinel_password"
            ):
                await group.length("teams:events")


async def publish_fail_and_replay(daemons: Daemons, stream: str, **env: str) -> None:
    daemons.receiver.answer(400, times=1)
    before = len(daemons.rows())
    command(daemons, "publish", "a.b", "--stakeholders", "sre", "--stream", stream, **env)
    await until(lambda: len(daemons.rows()) == before + 1)
    assert [row["status"] for row in daemons.rows()].count("dead_lettered") == 1

    listed = command(daemons, "dlq", "list", "--json", **env)
    assert f'"stream": "{stream}"' in listed
    command(daemons, "dlq", "replay", "--all", "--why", "test", **env)

    await until(lambda: {row["status"] for row in daemons.rows()} == {"delivered"})
    assert "0 would be replayed" in command(
        daemons, "replay", "--since", "2020-01-01T00:00", "--dry-run", **env
    )


def with_streams(folder: Path) -> dict[str, str]:
    settings = folder / "streams.toml"
    settings.write_text(f"streams = {list(STREAMS)!r}\n")
    return {"NOTIFIER_CONFIG": str(settings)}


async def test_every_shard_of_a_cluster_has_its_stream_and_commands_reach_all(
    shards: Cluster, tmp_path: Path, daemons_at: DaemonsAt
):
    daemons = daemons_at(shards.url)
    env = with_streams(tmp_path)
    await daemons.start(**env)
    for stream in STREAMS:
        await publish_fail_and_replay(daemons, stream, **env)

    with shards.client() as client:
        owners = {client.get_node_from_key(stream).port for stream in STREAMS}
        lanes = {
            client.keyslot(Keys("claims:a").lane("sre", urgent=True)),
            client.keyslot("claims:a"),
        }
    assert owners == {server.port for server in shards.masters}
    assert len(lanes) == 1
    assert "Traceback" not in daemons.log()
    assert "CROSSSLOT" not in daemons.log()


@pytest.mark.slow
async def test_a_cluster_that_loses_a_master_goes_on_with_its_replica(
    tmp_path: Path, daemons_at: DaemonsAt
):
    with cluster(tmp_path / "servers") as shards:
        daemons = daemons_at(shards.url)
        await daemons.start(**with_streams(tmp_path), TEAMS_RATE_LIMIT_REQUESTS="100000")
        with shards.client() as client:
            for number in range(30):
                client.xadd(STREAMS[number % 3], dict(event(number)))  # type: ignore[arg-type]
        await until(lambda: len(daemons.rows()) == 30, 60)

        shards.masters[0].kill()
        survivor = redis.Redis(port=shards.replica.port, decode_responses=True)
        await until(lambda: survivor.info("replication")["role"] == "master", 60)
        await until(
            lambda: survivor.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 60
        )
        survivor.close()
        with shards.client() as client:
            for number in range(30, 60):
                client.xadd(STREAMS[number % 3], dict(event(number)))  # type: ignore[arg-type]

        await until(lambda: len(daemons.rows()) == 60, 60)
        assert {row["status"] for row in daemons.rows()} == {"delivered"}


async def test_group_that_is_destroyed_posts_nothing_again_that_was_acknowledged(
    daemons: Daemons,
):
    await daemons.start()
    for number in range(20):
        daemons.publish(id=f"e{number}")
    await until(lambda: len(daemons.rows()) == 20)
    await until(lambda: not daemons.left_over())

    with redis.Redis.from_url(daemons.redis_url) as client:
        # The marks live a day and the stream three: without them only the floor tells what was read.
        client.delete(*client.keys("{teams:events}:seen:*"))
        pipeline = client.pipeline()
        pipeline.xgroup_destroy("teams:events", "notifier")
        pipeline.xadd("teams:events", event("new"))  # type: ignore[arg-type]
        pipeline.execute()

    await until(lambda: len(daemons.rows()) == 21)
    await until(lambda: not daemons.left_over())
    assert len(daemons.receiver.requests) == 21


async def test_redis_that_is_emptied_while_the_daemon_runs_is_used_on(daemons: Daemons):
    await daemons.start()
    daemons.publish(id="e1")
    await until(lambda: len(daemons.rows()) == 1)

    with redis.Redis.from_url(daemons.redis_url) as client:
        client.flushall()
    daemons.publish(id="e2")

    await until(lambda: len(daemons.rows()) == 2)


async def test_an_entry_that_must_not_be_there_twice_is_not_repeated_for_want_of_an_answer(
    shards: Cluster, monkeypatch: pytest.MonkeyPatch
):
    settings = load_config(None, {"REDIS_URL": shards.url}).redis
    client = connect(settings)
    group = Consumer(client, settings, "one")
    answer = ClusterNode.execute_command
    lost = 1

    async def unanswered(node: ClusterNode, *args: Any, **kwargs: Any) -> Any:
        nonlocal lost
        reply = await answer(node, *args, **kwargs)
        if args[0] == "XADD" and lost:
            lost -= 1
            raise redis.exceptions.ConnectionError("the answer is lost")
        return reply

    monkeypatch.setattr(ClusterNode, "execute_command", unanswered)
    try:
        with pytest.raises(StreamError):
            await group.add_once("{once}:lane", {"a": "1"})
        assert await group.length("{once}:lane") == 1

        await group.add_once("{once}:lane", {"a": "1"})
        assert await group.length("{once}:lane") == 2
    finally:
        await close(client)
