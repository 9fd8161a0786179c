"""The documented Redis users have the rights they need, and no others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis

from notifier.broker.client import close, connect
from notifier.broker.hop import HopResult, Move
from notifier.broker.keys import Keys
from notifier.broker.streams import Streams
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.escalation.actions import Actions
from notifier.events.action import Action, Via
from notifier.sandbox.servers import Server, start_redis
from tests.support.commands import command
from tests.support.daemons import DaemonsAt
from tests.support.reading import open_consumer
from tests.support.state import left_over
from tests.support.topologies import Cluster, Replicated, event
from tests.support.waiting import until

DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "redis.md").read_text()
LINES = re.findall(r"^ACL SETUSER .*$", DOCS, flags=re.MULTILINE)
USERS = {line.split()[2]: line for line in LINES if "sentinel|masters" not in line}
[SENTINEL_USER] = [line for line in LINES if "sentinel|masters" in line]
[FOR_CLUSTERS] = re.findall(r"[Oo]n a cluster add `([^`]+)`", DOCS)
DENIED = [
    ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("DEL", "teams:events"), ("SHUTDOWN",), ("GET", "other"),
    ("XGROUP", "DESTROY", "teams:events", "notifier"), ("XADD", "other", "*", "a", "1"), ("ACL", "LIST"),
]  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start_redis(tmp_path / "redis") as started:
        with redis.Redis.from_url(started.url) as client:
            for line in USERS.values():
                client.execute_command(*line.split())
        yield started


def as_user(server: Server, name: str) -> str:
    return server.url.replace("//", f"//{name}:PASSWORD@")


async def test_pipeline_and_commands_run_with_the_rights_of_the_documents(
    server: Server, daemons_at: DaemonsAt
):
    daemons = daemons_at(as_user(server, "notifier"))
    operator = {"REDIS_URL": as_user(server, "operator")}
    daemons.receiver.answer(400, times=1)
    daemons.receiver.answer(429, headers={"Retry-After": "1"}, times=1)
    process = await daemons.start(TEAMS_RATE_LIMIT_REQUESTS="1000")
    with redis.Redis.from_url(as_user(server, "producer")) as producer:
        for number in range(3):
            producer.xadd("teams:events", dict(event(number)))  # type: ignore[arg-type]
        await until(lambda: len(daemons.rows()) == 3)
        producer.xadd("teams:events", {"no": "type"})

    def listed() -> int:
        return command(daemons, "dlq", "list", "--json", **operator).count('"reason"')

    await until(lambda: listed() == 2)
    command(daemons, "dlq", "replay", "--reason", "rejected", **operator)
    command(daemons, "dlq", "discard", "--all", "--why", "test", **operator)
    command(daemons, "replay", "--since", "2020-01-01", "--force", "--why", "test", **operator)
    command(daemons, "publish", "a.b", "--stakeholders", "pmo", **operator)
    await until(lambda: [row["status"] for row in daemons.rows()] == ["delivered"] * 4)
    await until(lambda: not left_over(server.url))
    assert listed() == 0
    found = command(daemons, "trace", "e1", "--json", **operator)
    assert '"delivered"' in found
    assert "could not be asked" not in command(daemons, "trace", "e1", **operator)
    async with aiohttp.ClientSession() as session:
        for path in ("", "/dead-letters", "/dead-letters/letter?id=1-1&stream=teams:events", "/search?q=e1"):  # fmt: skip
            async with session.get(f"{daemons.admin_urls[0]}/console{path}") as answer:
                assert "cannot be asked" not in await answer.text(), path
    assert '"waiting": 0' in command(daemons, "top", "--json", **operator)
    process.terminate()
    assert await process.wait() == 0

    assert "NOPERM" not in daemons.log()
    assert "permission" not in daemons.log()
    assert "not_signed_off" not in daemons.log()
    with redis.Redis.from_url(server.url) as client:
        refused: list[dict[str, Any]] = client.acl_log()
    assert {entry["object"] for entry in refused} <= {"client", "client|setinfo"}


async def test_housekeeping_and_actions_have_their_rights(server: Server):
    with redis.Redis.from_url(as_user(server, "notifier")) as client:
        client.xgroup_create("teams:events", "notifier", id="0", mkstream=True)
        client.xtrim("teams:events", minid="1-0", approximate=False)
        client.xinfo_groups("teams:events")
        client.xadd("teams:actions", {"action": "retry_task"}, maxlen=10)
    with redis.Redis.from_url(as_user(server, "worker")) as worker:
        worker.xgroup_create("teams:actions", "workers", id="0")
        [[_, [[entry_id, _fields]]]] = worker.xreadgroup("workers", "w", {"teams:actions": ">"})
        worker.xautoclaim("teams:actions", "workers", "w", min_idle_time=0)

        assert worker.xack("teams:actions", "workers", entry_id) == 1


@pytest.mark.parametrize("name", USERS)
@pytest.mark.parametrize("words", DENIED, ids=" ".join)
def test_a_user_can_do_nothing_else(server: Server, name: str, words: tuple[str, ...]):
    with (
        redis.Redis.from_url(as_user(server, name)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("producer", ("XRANGE", "teams:events", "-", "+")),
        ("producer", ("XADD", "{teams:events}:dead", "*", "a", "1")),
        ("operator", ("XREADGROUP", "GROUP", "notifier", "x", "STREAMS", "teams:events", ">")),
        ("operator", ("XADD", "teams:actions", "*", "a", "1")),
        ("worker", ("XADD", "teams:actions", "*", "a", "1")),
        ("worker", ("XRANGE", "teams:events", "-", "+")),
    ],
)
def test_a_user_cannot_do_what_is_anothers(server: Server, name: str, words: tuple[str, ...]):
    with (
        redis.Redis.from_url(as_user(server, name)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*words)


async def test_making_a_lost_group_again_has_its_rights(server: Server):
    async with open_consumer(as_user(server, "notifier")) as group:
        admin = redis.Redis.from_url(server.url)
        for number in (5, 6):
            admin.xadd("teams:events", dict(event(number)), id=f"{number}-1")  # type: ignore[arg-type]
        await group.ensure(["teams:events"])
        assert len(await group.read(["teams:events"], count=2, block_seconds=0.01)) == 2
        move = Move(
            "teams:events", "6-1", delete=False, mark="{teams:events}:seen:a", mark_seconds=60
        )
        assert await group.hop([move]) == [HopResult.MOVED]
        admin.xgroup_destroy("teams:events", "notifier")

        await group.ensure(["teams:events"])

        assert admin.xpending("teams:events", "notifier")["pending"] == 1
        admin.close()


async def test_an_operator_may_drain_the_lanes_of_a_removed_channel(
    server: Server, daemons_at: DaemonsAt
):
    daemons = daemons_at(server.url)
    lane = Keys("teams:events").lane("night", urgent=True)
    with redis.Redis.from_url(server.url) as admin:
        admin.xgroup_create(lane, "notifier", id="0", mkstream=True)
        for _ in range(2):
            admin.xadd(lane, {"notification": "{}"})
        [[_, [[held, _fields]]]] = admin.xreadgroup("notifier", "x", {lane: ">"}, count=1)
        admin.xclaim(lane, "notifier", "x", 0, [held], idle=10**8)
    operator = {"REDIS_URL": as_user(server, "operator")}

    command(daemons, "lanes", "list", **operator)
    drained = await asyncio.to_thread(
        command, daemons, "lanes", "drain", "night", "--why", "test", **operator
    )

    assert "2 are dead letters now" in drained
    with redis.Redis.from_url(server.url) as admin:
        assert admin.xlen(lane) == 0
        assert admin.xpending(lane, "notifier")["pending"] == 0
        assert {entry["object"] for entry in admin.acl_log()} <= {"client", "client|setinfo"}


async def take_twice(url: str) -> list[str | None]:
    settings = load_config(None, {"REDIS_URL": url}).redis
    client = connect(settings)
    actions = Actions(Streams(client, settings), remember_seconds=60)
    try:
        firsts = []
        for who in ("Sara", "Omar"):
            action = Action("n-1", "retry_task", who, "", Via.PAGE, datetime.now(UTC))
            first = await actions.accept(
                action, {"id": "n-1:retry_task", "action": "retry_task"}
            )
            firsts.append(first.who if first else None)
        await actions.remember_callback("digest")
        assert await actions.callback_seen("digest")
        known = await actions.actions_on(["n-1", "n-2"])
        assert {key: each.action for key, each in known.items()} == {"n-1": "retry_task"}
    finally:
        await close(client)
    return firsts


@pytest.mark.parametrize("right", ["hset", "expire", "hgetall", "xadd", "xlen"])
async def test_nothing_is_taken_or_asked_for_while_a_right_is_missing(
    server: Server, right: str
):
    url = as_user(server, "notifier")
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "notifier", f"-{right}")
        with pytest.raises(StreamError):
            await take_twice(url)
        assert admin.keys("*teams:actions*") == []
        admin.execute_command("ACL", "SETUSER", "notifier", f"+{right}")
    assert await take_twice(url) == [None, "Sara"]


async def test_users_of_a_cluster_have_their_rights(shards: Cluster, daemons_at: DaemonsAt):
    allow_on(shards)
    url = shards.url.replace("//", "//notifier:PASSWORD@")
    daemons = daemons_at(url)
    await daemons.start()
    operator = {"REDIS_URL": shards.url.replace("//", "//operator:PASSWORD@")}
    command(daemons, "publish", "a.b", "--stakeholders", "sre,pmo", **operator)

    await until(lambda: len(daemons.rows()) == 2)
    assert "[]" in command(daemons, "dlq", "list", "--json", **operator)
    assert await take_twice(url) == [None, "Sara"]
    assert "NOPERM" not in daemons.log()


def allow_on(shards: Cluster) -> None:
    for server in (*shards.masters, shards.replica):
        with redis.Redis.from_url(server.url) as client:
            for line in USERS.values():
                client.execute_command(*line.split(), *FOR_CLUSTERS.split())


async def test_user_of_a_sentinel_has_its_rights(sentinels: Replicated, daemons_at: DaemonsAt):
    for port in sentinels.sentinels:
        with redis.Redis(port=port, protocol=2) as client:
            client.execute_command(*SENTINEL_USER.split())
    url = sentinel_login(sentinels)
    daemons = daemons_at(url)
    await daemons.start()
    command(daemons, "publish", "a.b", "--stakeholders", "sre")

    await until(lambda: len(daemons.rows()) == 1)
    assert "PASSWORD" not in daemons.log()


def sentinel_login(servers: Replicated) -> str:
    return f"{servers.url}?sentinel_username=notifier&sentinel_password=PASSWORD"


@pytest.mark.parametrize("right", ["xdel", "xack"])
async def test_a_daemon_that_lost_a_right_names_it_and_delivers_once_it_is_given_back(
    server: Server, right: str, daemons_at: DaemonsAt
):
    daemons = daemons_at(as_user(server, "notifier"))

    async def said() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{daemons.admin_urls[0]}/readyz") as answer,
        ):
            return await answer.text()

    await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "notifier", f"-{right}")
        for number in range(3):
            admin.xadd("teams:events", dict(event(number)))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while f"+{right}" not in await said():
                await asyncio.sleep(0.05)
        assert daemons.rows() == []

        admin.execute_command("ACL", "SETUSER", "notifier", f"+{right}")

    await until(lambda: len(daemons.rows()) == 3)
    await until(lambda: not left_over(server.url))
    ids = [request.headers["webhook-id"] for request in daemons.receiver.requests]
    assert len(ids) == len(set(ids)) == 3


async def test_a_daemon_names_at_its_start_what_its_user_lacks(
    server: Server, daemons_at: DaemonsAt
):
    daemons = daemons_at(as_user(server, "notifier"))
    with redis.Redis.from_url(server.url) as admin:
        # Only pages of people need it.
        admin.execute_command("ACL", "SETUSER", "notifier", "-hget")
    await daemons.start()

    await until(lambda: "redis_rights_missing" in daemons.log())

    assert "+hget" in daemons.log()
