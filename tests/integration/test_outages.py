"""A server goes away: the daemon waits, reports it, and continues."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import redis

from notifier.broker.keys import Keys
from notifier.sandbox.servers import start_postgres, start_redis
from notifier.store.migrations import migrate_up
from tests.support.daemons import Daemons
from tests.support.ports import quiet_port
from tests.support.state import rows, xadd
from tests.support.waiting import until

SRE_NORMAL = Keys("teams:events").lane("sre", urgent=False)


async def test_redis_that_is_killed_and_restarted_loses_nothing(
    open_folder: Path, database_url: str, webhook_receiver: Any, tmp_path: Path
):
    server = start_redis(open_folder, port=quiet_port(), extra_args=["--appendfsync", "always"])
    daemons = Daemons(server.url, database_url, webhook_receiver, tmp_path)
    try:
        await daemons.start()
        for number in range(20):
            xadd(
                server.url, {"type": "a.b", "stakeholders": "sre,pmo", "id": f"before{number}"}
            )
        server.kill()
        await until(lambda: "stage_waiting" in daemons.log())
        assert (await daemons.readiness())["status"] == 503

        server = start_redis(
            open_folder, port=server.port, extra_args=["--appendfsync", "always"]
        )
        for number in range(20):
            xadd(server.url, {"type": "a.b", "stakeholders": "sre,pmo", "id": f"after{number}"})

        await until(lambda: len(rows(database_url)) == 80, 60)
        assert {row["status"] for row in rows(database_url)} == {"delivered"}
    finally:
        await daemons.stop()
        server.stop()


async def test_an_event_that_somebody_trimmed_away_while_it_was_in_hand_is_said(
    daemons: Daemons,
):
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xgroup_create("teams:events", "notifier", "0", mkstream=True)
        lost = daemons.publish()
        client.xreadgroup("notifier", "dead", {"teams:events": ">"})
        client.xtrim("teams:events", maxlen=0, approximate=False)

    await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")

    await until(lambda: "entries_lost" in daemons.log())
    assert f"teams:events {lost}" in daemons.log()


async def test_postgres_that_goes_away_does_not_stop_deliveries_and_nothing_is_posted_twice(
    open_folder: Path, redis_url: str, webhook_receiver: Any, tmp_path: Path
):
    server = start_postgres(open_folder, port=quiet_port())
    await asyncio.to_thread(migrate_up, server.url)
    daemons = Daemons(redis_url, server.url, webhook_receiver, tmp_path)
    try:
        await daemons.start()
        server.stop()
        for number in range(20):
            xadd(redis_url, {"type": "a.b", "stakeholders": "sre", "id": f"e{number}"})
        await webhook_receiver.wait_for(20)
        await until(lambda: "stage_waiting" in daemons.log())
        with redis.Redis.from_url(redis_url) as client:
            await until(lambda: client.xlen(Keys("teams:events").outcomes) == 20)

        server = start_postgres(open_folder, port=server.port)

        await until(lambda: len(rows(server.url)) == 20, 60)
        assert len(webhook_receiver.requests) == 20
    finally:
        await daemons.stop()
        server.stop()


async def test_full_redis_is_seen_while_deliveries_empty_it_and_nothing_is_lost(
    daemons: Daemons,
):
    daemons.receiver.answer(503)
    await daemons.start(
        TEAMS_RATE_LIMIT_REQUESTS="6000", TEAMS_RATE_LIMIT__BURST="100", TEAMS_RATE_LIMIT__MIN_INTERVAL_SECONDS="0",
        TEAMS_BREAKER__OPEN_SECONDS="0.3", TEAMS_INTAKE__BATCH="5",
    )  # fmt: skip
    with redis.Redis.from_url(daemons.redis_url, decode_responses=True) as client:
        try:
            for number in range(20):
                daemons.publish(id=f"e{number}")
            await until(lambda: client.xlen(SRE_NORMAL) == 20)
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", client.info("memory")["used_memory"] - 200_000)

            await until(lambda: "is full" in daemons.log())
            state = await daemons.readiness()
            assert state["status"] == 503
            assert "is full" in state["parts"]["intake teams:events"]
            daemons.receiver.recover()
            await until(lambda: len(daemons.rows()) == 20, 60)
            assert client.xlen(SRE_NORMAL) == 0
        finally:
            client.config_set("maxmemory", 0)
        await daemons.all_ready()
        daemons.publish(id="after")
        await until(lambda: len(daemons.rows()) == 21)
    assert {row["status"] for row in daemons.rows()} <= {
        "delivered",
        "dead_lettered",
    }


async def test_a_lost_answer_repeats_the_card_under_its_id(daemons: Daemons):
    daemons.receiver.answer(202, delay=60, times=2)
    await daemons.start(
        TEAMS_CONNECTION_TIMEOUT="1", TEAMS_MAX_RETRIES="3", TEAMS_MAX_RETRY_DELAY="0.1"
    )
    daemons.publish()
    await until(lambda: daemons.rows())

    posts = daemons.receiver.requests
    [row] = daemons.rows()

    assert (row["status"], row["retry_count"]) == ("delivered", 2)
    assert [post.headers["webhook-id"] for post in posts] == [str(row["id"])] * 3
    assert all(str(row["id"]).encode() in post.body for post in posts)
