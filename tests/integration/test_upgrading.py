"""The promises of docs/how-to/upgrade.md and back-up.md."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import redis

from notifier.sandbox.servers import start_redis
from tests.support.daemons import Daemons
from tests.support.redis_cli import redis_cli
from tests.support.waiting import until

# Restarts take seconds each, more on a busy machine.
pytestmark = pytest.mark.timeout(300)
PATIENCE_SECONDS = 90


async def publish_until(daemons: Daemons, stop: asyncio.Event) -> list[str]:
    """Publish an event every few milliseconds; returns their ids."""
    published: list[str] = []
    with redis.Redis.from_url(daemons.redis_url) as client:
        while not stop.is_set():
            name = f"event-{len(published)}"
            client.xadd("teams:events", {"type": "a.b", "stakeholders": "sre", "id": name})
            published.append(name)
            await asyncio.sleep(0.05)
    return published


async def test_daemons_restarted_one_after_another_under_load_lose_and_repeat_nothing(
    daemons: Daemons,
):
    running = [await daemons.start(), await daemons.start()]
    stop = asyncio.Event()
    producer = asyncio.create_task(publish_until(daemons, stop))
    await daemons.receiver.wait_for(20, PATIENCE_SECONDS)

    for process in running:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        # Only the other one runs now, and the channel goes on.
        await daemons.receiver.wait_for(len(daemons.receiver.requests) + 20, PATIENCE_SECONDS)
        await daemons.start()
    stop.set()
    published = await producer
    await until(lambda: len(daemons.rows()) >= len(published), PATIENCE_SECONDS)

    recorded = daemons.rows()
    assert Counter(row["event_id"] for row in recorded) == Counter(published)
    assert {row["status"] for row in recorded} == {"delivered"}
    ids = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert set(ids.values()) == {1}


async def test_a_daemon_works_on_a_schema_that_a_newer_version_brought_further(
    daemons: Daemons,
):
    with psycopg.connect(daemons.database_url) as connection:
        connection.execute("ALTER TABLE teams_notifications ADD COLUMN from_the_future text")
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('future', '9999.future', now())"
        )

    await daemons.start()
    daemons.publish()
    await until(lambda: len(daemons.rows()) == 1, PATIENCE_SECONDS)

    assert daemons.rows()[0]["status"] == "delivered"


async def test_a_restored_older_redis_repeats_what_waited_then_into_the_same_rows(
    daemons: Daemons, tmp_path: Path
):
    first = await daemons.start()
    daemons.publish(id="before")
    await until(lambda: len(daemons.rows()) == 1, PATIENCE_SECONDS)
    first.send_signal(signal.SIGTERM)
    await first.wait()
    for number in range(3):
        daemons.publish(id=f"waiting-{number}")
    copy = tmp_path / "redis.rdb"
    fetch = f"{redis_cli()} -u {daemons.redis_url} --rdb {shlex.quote(str(copy))}"
    subprocess.run(["/bin/sh", "-c", fetch], check=True, capture_output=True, timeout=60)
    second = await daemons.start()
    await until(lambda: len(daemons.rows()) == 4, PATIENCE_SECONDS)
    second.send_signal(signal.SIGTERM)
    await second.wait()

    folder = tmp_path / "restored"
    folder.mkdir()
    shutil.copy(copy, folder / "dump.rdb")
    with start_redis(folder, extra_args=("--appendonly", "no")) as restored:
        await daemons.start(REDIS_URL=restored.url)
        posts = await daemons.receiver.wait_for(7, PATIENCE_SECONDS)
        await until(lambda: idle(restored.url), PATIENCE_SECONDS)
        await daemons.stop()

    assert len(daemons.rows()) == 4
    ids = Counter(request.headers["webhook-id"] for request in posts)
    assert sorted(ids.values()) == [1, 2, 2, 2]


def idle(redis_url: str) -> bool:
    """Tell whether nothing waits to be delivered or recorded."""
    with redis.Redis.from_url(redis_url) as client:
        waiting = sum(client.xlen(key) for key in client.scan_iter("{teams:events}:lane:*"))
        return waiting + client.xlen("{teams:events}:outcomes") == 0
