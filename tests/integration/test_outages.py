"""A server that goes away or hangs while the daemon runs."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import redis

from notifier.broker.keys import Keys
from notifier.sandbox.servers import Server, start_postgres, start_redis
from notifier.store.migrations import migrate_up
from tests.support.daemons import Daemons, DaemonsAt
from tests.support.frozen import frozen
from tests.support.ports import quiet_port
from tests.support.state import KEYS
from tests.support.waiting import until

SRE_NORMAL = Keys("teams:events").lane("sre", urgent=False)


async def test_redis_that_is_killed_and_restarted_loses_nothing(
    open_folder: Path, daemons_at: DaemonsAt
):
    always = ["--appendfsync", "always"]
    with start_redis(open_folder, port=quiet_port(), extra_args=always) as server:
        daemons = daemons_at(server.url)
        await daemons.start()
        for number in range(20):
            daemons.publish(stakeholders="sre,pmo", id=f"before{number}")
        server.kill()
    await until(lambda: "stage_waiting" in daemons.log())
    assert (await daemons.readiness())["status"] == 503

    with start_redis(open_folder, port=server.port, extra_args=always):
        for number in range(20):
            daemons.publish(stakeholders="sre,pmo", id=f"after{number}")

        await until(lambda: len(daemons.rows()) == 80, 60)
    assert {row["status"] for row in daemons.rows()} == {"delivered"}


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
    open_folder: Path, redis_url: str, daemons_at: DaemonsAt
):
    with start_postgres(open_folder, port=quiet_port()) as server:
        await asyncio.to_thread(migrate_up, server.url)
        daemons = daemons_at(redis_url, server.url)
        await daemons.start()
    for number in range(20):
        daemons.publish(id=f"e{number}")
    await daemons.receiver.wait_for(20)
    await until(lambda: "stage_waiting" in daemons.log())
    with redis.Redis.from_url(redis_url) as client:
        await until(lambda: client.xlen(Keys("teams:events").outcomes) == 20)

    with start_postgres(open_folder, port=server.port):
        await until(lambda: len(daemons.rows()) == 20, 60)
    assert len(daemons.receiver.requests) == 20


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


WATCHDOG_SECONDS = 4


async def test_deliveries_and_keep_alives_go_on_and_rows_come_afterwards(
    daemons: Daemons, postgres_server: Server, tmp_path: Path
):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        alive = 0

        def beaten(times: int) -> bool:
            nonlocal alive
            try:
                while True:
                    alive += manager.recv(4096) == b"WATCHDOG=1"
            except BlockingIOError:
                return alive >= times

        await daemons.start(
            NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=str(WATCHDOG_SECONDS * 1_000_000),
            TEAMS_DATABASE__STATEMENT_TIMEOUT_SECONDS="0.5", TEAMS_DATABASE__CONNECT_TIMEOUT_SECONDS="1",
            TEAMS_ESCALATION__POLL_SECONDS="0.5",
        )  # fmt: skip
        daemons.publish(id="before")
        await until(lambda: len(daemons.rows()) == 1)

        with frozen(postgres_server):
            for number in range(5):
                daemons.publish(id=f"meanwhile{number}")
            await daemons.receiver.wait_for(6)
            alive = 0
            # Four for each watchdog: by the last of these a loop that hung would have been found.
            await until(lambda: beaten(6), 30)
            assert "does not answer in time" in daemons.log()

        await until(lambda: len(daemons.rows()) == 6)
    assert "loops_hang" not in daemons.log()


async def test_a_daemon_that_starts_while_postgres_hangs_delivers(
    daemons: Daemons, postgres_server: Server
):
    daemons.publish(id="before")
    with frozen(postgres_server):
        await daemons.start(ready=False, TEAMS_DATABASE__CONNECT_TIMEOUT_SECONDS="1")
        await daemons.receiver.wait_for(1)

    await until(lambda: len(daemons.rows()) == 1)


async def test_a_daemon_is_ended_in_time_while_postgres_hangs(
    daemons: Daemons, postgres_server: Server
):
    daemon = await daemons.start(
        TEAMS_DELIVERY__STOP_TIMEOUT_SECONDS="2", TEAMS_CONNECTION_TIMEOUT="1", TEAMS_HTTP__CONNECT_TIMEOUT_SECONDS="1"
    )  # fmt: skip

    def recording() -> bool:
        with redis.Redis.from_url(daemons.redis_url) as client:
            summary: Any = client.xpending(KEYS.outcomes, "notifier")
            return bool(summary["pending"])

    daemons.publish(id="before")
    await until(lambda: len(daemons.rows()) == 1)
    with frozen(postgres_server):
        daemons.publish(id="meanwhile")
        await until(recording)

        daemon.terminate()
        async with asyncio.timeout(60):
            assert await daemon.wait() == 0

    assert "stop_timeout_passed" in daemons.log()
