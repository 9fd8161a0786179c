"""Keys of another type and missing rights: nothing is lost, and each is named."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.broker.keys import Keys
from notifier.errors import StreamError
from notifier.sandbox.servers import Server, start_redis
from tests.support.daemons import Daemons
from tests.support.reading import open_consumer
from tests.support.waiting import until

DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "redis.md").read_text()
[LINE] = re.findall(r"^ACL SETUSER notifier .*xreadgroup.*$", DOCS, flags=re.MULTILINE)
STREAM = "teams:events"
KEYS = Keys(STREAM)
LANE, OTHER = KEYS.lane("sre", urgent=True), KEYS.lane("pmo", urgent=True)
OF_INTAKE = ("xack", "xdel", "xadd", "set", "xinfo|groups", "xpending")
OF_DELIVERY = ("xack", "xdel", "xadd")
OF_A_LOST_GROUP = ("xinfo|groups", "xrange")
ROUTED = (LANE, OTHER)
ENDED = (KEYS.outcomes, KEYS.dead)


@pytest.fixture(
    scope="module",
    params=[
        "",
        pytest.param(
            "redis-server",
            marks=pytest.mark.skipif(
                shutil.which("redis-server") is None, reason="redis-server is not installed"
            ),
        ),
    ],
    ids=["embedded", "installed"],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setenv("NOTIFIER_REDIS_SERVER", request.param)
        with start_redis(tmp_path_factory.mktemp("redis")) as started:
            yield started


@pytest.fixture
def admin(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.execute_command(*LINE.split())
        yield client


@pytest.fixture
async def group(server: Server, admin: redis.Redis):
    async with open_consumer(server.url.replace("//", "//notifier:PASSWORD@")) as made:
        yield made


def move(source: str, entry_id: str, targets: tuple[str, ...]) -> Move:
    kept = source == STREAM
    return Move(
        source, entry_id, tuple((key, {"of": entry_id}) for key in targets),
        delete=not kept, mark=KEYS.seen("e1") if kept else None, mark_seconds=60,
    )  # fmt: skip


async def read(group: Consumer, admin: redis.Redis, source: str) -> str:
    admin.xadd(source, {"a": "1"})
    await group.ensure([source])
    [entry] = await group.read([source], count=1, block_seconds=0.01)
    return entry.id


@pytest.mark.parametrize(
    ("source", "targets", "right"),
    [(STREAM, ROUTED, right) for right in OF_INTAKE] + [(LANE, ENDED, right) for right in OF_DELIVERY],
)  # fmt: skip
async def test_a_hop_without_a_right_leaves_everything_as_it_was(
    admin: redis.Redis, group: Consumer, source: str, targets: tuple[str, ...], right: str
):
    entry_id = await read(group, admin, source)
    admin.execute_command("ACL", "SETUSER", "notifier", f"-{right.partition('|')[0]}")

    with pytest.raises(StreamError, match=re.escape(f"lacks +{right}")):
        await group.hop([move(source, entry_id, targets)])

    assert [admin.xlen(key) for key in targets] == [0, 0]
    assert admin.exists(KEYS.seen("e1")) == 0
    assert admin.xpending(source, "notifier")["pending"] == 1
    assert admin.xlen(source) == 1

    admin.execute_command(*LINE.split())
    assert await group.hop([move(source, entry_id, targets)]) == [HopResult.MOVED]
    assert [admin.xlen(key) for key in targets] == [1, 1]
    assert admin.xpending(source, "notifier")["pending"] == 0


@pytest.mark.parametrize("right", OF_A_LOST_GROUP)
async def test_nothing_is_moved_twice_for_want_of_a_right_to_look(
    admin: redis.Redis, group: Consumer, right: str
):
    entry_id = await read(group, admin, LANE)
    assert await group.hop([move(LANE, entry_id, ENDED)]) == [HopResult.MOVED]
    admin.execute_command("ACL", "SETUSER", "notifier", f"-{right.partition('|')[0]}")

    with suppress(StreamError):
        assert await group.hop([move(LANE, entry_id, ENDED)]) == [HopResult.LOST]

    assert [admin.xlen(key) for key in ENDED] == [1, 1]


async def test_keys_that_the_user_may_not_touch_leave_everything_as_it_was(
    admin: redis.Redis, group: Consumer
):
    entry_id = await read(group, admin, STREAM)
    admin.execute_command("ACL", "SETUSER", "notifier", "resetkeys", f"~{STREAM}", f"~{LANE}", "~*seen*", "~*floor*")  # fmt: skip

    with pytest.raises(StreamError, match="rights"):
        await group.hop([move(STREAM, entry_id, ROUTED)])

    assert admin.exists(*ROUTED, KEYS.seen("e1")) == 0
    assert admin.xpending(STREAM, "notifier")["pending"] == 1


async def test_a_lost_group_is_made_again_with_what_was_in_flight_or_not_at_all(
    admin: redis.Redis, group: Consumer
):
    entry_id = await read(group, admin, STREAM)
    second = await read(group, admin, STREAM)
    await group.hop([move(STREAM, second, ROUTED)])
    admin.xgroup_destroy(STREAM, "notifier")
    admin.execute_command("ACL", "SETUSER", "notifier", "-xclaim")

    with pytest.raises(StreamError, match="rights"):
        await group.ensure([STREAM])

    assert admin.xinfo_groups(STREAM) == []
    admin.execute_command("ACL", "SETUSER", "notifier", "+xclaim")
    await group.ensure([STREAM])
    [waiting] = admin.xpending_range(STREAM, "notifier", "-", "+", 10)
    assert waiting["message_id"].decode() == entry_id


@pytest.mark.parametrize("right", ["xdel", "xrange", "xadd"])
async def test_a_replay_without_a_right_leaves_the_dead_letter(
    admin: redis.Redis, group: Consumer, right: str
):
    letter = admin.xadd(KEYS.dead, {"a": "1"}).decode()
    admin.execute_command("ACL", "SETUSER", "notifier", f"-{right.partition('|')[0]}")

    with pytest.raises(StreamError):
        await group.move(KEYS.dead, [Move(KEYS.dead, letter, ((LANE, {"a": "1"}),))])

    assert admin.xlen(KEYS.dead) == 1
    assert admin.xlen(LANE) == 0


NORMAL_LANE = KEYS.lane("sre", urgent=False)


async def test_a_lane_of_another_type_is_named_and_its_event_is_delivered_once_it_is_gone(
    daemons: Daemons,
):
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.set(NORMAL_LANE, "x")
        await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
        for number, channels in enumerate(("pmo", "sre,pmo", "devops")):
            event = {
                "type": "a.b",
                "id": f"e{number}",
                "stakeholders": channels,
                "priority": "LOW",
            }
            daemons.add(event)

        await until(lambda: {row["event_id"] for row in daemons.rows()} == {"e0", "e2"})
        found = await daemons.readiness()
        assert found["status"] == 200
        assert NORMAL_LANE in " ".join(found["warnings"])
        assert client.xpending("teams:events", "notifier")["pending"] == 1

        client.delete(NORMAL_LANE)
        await until(lambda: len(daemons.rows()) == 4)
        assert client.xpending("teams:events", "notifier")["pending"] == 0

    async with asyncio.timeout(60):
        while NORMAL_LANE in json.dumps(await daemons.readiness()):
            await asyncio.sleep(0.05)


async def test_cards_posted_while_outcomes_are_refused_are_recorded_later_and_posted_once(
    daemons: Daemons,
):
    outcomes = Keys("teams:events").outcomes
    with redis.Redis.from_url(daemons.redis_url) as client:
        await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
        client.delete(outcomes)
        client.set(outcomes, "x")
        for number in range(3):
            event = {"type": "a.b", "id": f"e{number}", "stakeholders": "sre,pmo"}
            daemons.add(event)
        await until(lambda: len(daemons.receiver.requests) == 6)
        async with asyncio.timeout(60):
            while f"key {outcomes}" not in (await daemons.readiness())["warnings"]:
                await asyncio.sleep(0.05)

        client.delete(outcomes)
        await until(lambda: len(daemons.rows()) == 6)

    await until(lambda: not daemons.left_over())
    assert len(daemons.receiver.requests) == 6
    assert daemons.dead_letters() == []
