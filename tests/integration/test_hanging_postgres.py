"""A hanging Postgres delays neither deliveries nor keep-alives of systemd."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import redis

from notifier.sandbox.servers import Server
from tests.support.daemons import Daemons
from tests.support.frozen import frozen
from tests.support.state import KEYS
from tests.support.waiting import until

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
