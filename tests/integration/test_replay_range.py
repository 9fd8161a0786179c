"""A time range is replayed: undelivered events, unless forced."""

from __future__ import annotations

import asyncio
import json
import subprocess

import psycopg
import redis

from notifier.broker.keys import Keys
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.processes import run
from tests.support.publishing import refused
from tests.support.waiting import until


def replay(daemons: Daemons, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {
        "REDIS_URL": daemons.redis_url,
        "DATABASE_URL": daemons.database_url,
        "PATH": "/usr/bin:/bin",
    }
    return run("replay", *arguments, env=env)


async def test_a_time_range_is_replayed_where_it_was_not_delivered(daemons: Daemons):
    await daemons.start()
    for number in range(4):
        daemons.publish(id=f"e{number}")
    await until(lambda: len(daemons.rows()) == 4)
    with psycopg.connect(daemons.database_url) as connection:
        connection.execute("DELETE FROM teams_notifications WHERE event_id IN ('e1', 'e2')")

    dry = replay(daemons, "--since", "2020-01-01", "--dry-run")
    assert "2 would be replayed, 2 left alone" in dry.stdout
    assert len(daemons.receiver.requests) == 4

    done = replay(
        daemons, "--since", "2020-01-01", "--by", "ops", "--why", "the table was lost"
    )
    assert done.returncode == 0, done.stderr
    assert "2 replayed, 2 left alone" in done.stdout
    await until(lambda: len(daemons.rows()) == 4)
    assert len(daemons.receiver.requests) == 6
    assert {(record["who"], record["event_id"]) for record in daemons.dead_letter_actions()} == {
        ("ops", "e1"), ("ops", "e2"),
    }  # fmt: skip

    forced = replay(daemons, "--since", "2020-01-01", "--type", "a.b", "--force")
    assert "4 replayed" in forced.stdout
    await until(lambda: len(daemons.receiver.requests) == 10)
    assert "0 replayed" in replay(daemons, "--since", "2040-01-01").stdout


async def test_what_intake_has_not_read_yet_is_left_to_it(daemons: Daemons):
    await daemons.start()
    daemons.publish(id="e0")
    await until(lambda: len(daemons.rows()) == 1)
    await daemons.stop()
    for number in range(1, 4):
        daemons.publish(id=f"e{number}")

    done = replay(daemons, "--since", "1h")

    assert "0 replayed" in done.stdout, done.stderr
    await daemons.start()
    await until(lambda: len(daemons.rows()) == 4)
    assert len(daemons.receiver.requests) == 4


async def test_a_range_of_several_passes_puts_each_notification_into_its_lane_once(
    daemons: Daemons,
):
    # Every event was published twice, far apart; the marks of their ids are gone.
    intake = await daemons.start("--stages", "intake")
    with redis.Redis.from_url(daemons.redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for turn in range(2):
            for number in range(3_000):
                event = {"type": "a.b", "stakeholders": "sre,pmo", "id": f"e{number}"}
                pipeline.xadd("teams:events", event | {"turn": str(turn)})  # type: ignore[arg-type]
        pipeline.execute()
        lanes = [Keys("teams:events").lane(name, urgent=False) for name in ("sre", "pmo")]
        await until(
            lambda: (
                client.xpending("teams:events", "notifier")["pending"] == 0
                and client.xlen(lanes[0]) == 3_000
            )
        )
        await until(
            lambda: (
                client.xinfo_groups("teams:events")[0]["last-delivered-id"]
                == client.xinfo_stream("teams:events")["last-generated-id"]
            )
        )
        intake.terminate()
        await intake.wait()
        client.xtrim(lanes[0], maxlen=0, approximate=False)

        dry = await asyncio.to_thread(replay, daemons, "--since", "1h", "--dry-run")
        done = await asyncio.to_thread(replay, daemons, "--since", "2h", "--rate", "0")

        assert "3000 replayed" in done.stdout, done.stderr
        assert client.xlen(lanes[0]) == 3_000
        assert client.xlen(lanes[1]) == 3_000
        ids = {json.loads(f[b"notification"])["event_id"] for _, f in client.xrange(lanes[0])}
        assert len(ids) == 3_000
    assert "would be replayed" in dry.stdout
    assert len(daemons.dead_letter_actions()) == 3_000


async def test_what_was_discarded_comes_again_only_by_force(daemons: Daemons):
    await refused(daemons)
    done = notifier(
        "dlq", "discard", "--all", "--why", "a test event", REDIS_URL=daemons.redis_url, DATABASE_URL=daemons.database_url
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    assert "0 replayed, 1 left alone" in replay(daemons, "--since", "2020-01-01").stdout
    assert "1 replayed" in replay(daemons, "--since", "2020-01-01", "--force").stdout


async def test_dead_letters_are_left_to_their_own_command(daemons: Daemons):
    await refused(daemons)
    assert (
        "0 replayed, 1 left alone" in replay(daemons, "--since", "2020-01-01", "--force").stdout
    )


async def test_an_id_from_a_producer_moves_no_cursor_and_turns_no_line(daemons: Daemons):
    await daemons.start()
    event_id = "left\u202eright\u009b2J"
    daemons.publish(id=event_id)
    await until(lambda: len(daemons.rows()) == 1)
    assert daemons.rows()[0]["event_id"] == event_id

    told = replay(daemons, "--since", "1h", "--force", "--dry-run").stdout

    assert "left�right�2J a.b → sre" in told
