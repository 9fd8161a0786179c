"""Entries that kill a process or fill its memory."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.daemons import Daemons
from tests.support.processes import Process
from tests.support.waiting import until

STREAM = "teams:events"
MB = 10**6
MOST_MB = 250
"""Half of MemoryMax in the unit file."""


@pytest.fixture
def client(daemons: Daemons) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(daemons.redis_url, socket_timeout=60) as client:
        yield client
        client.flushall()


def most_memory_mb(process: Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("no VmHWM")


def add_huge(client: redis.Redis, *sizes_mb: int) -> None:
    """Add entries of these sizes at once, so that one read finds all of them."""
    with client.pipeline(transaction=True) as pipeline:
        for size in sizes_mb:
            pipeline.xadd(STREAM, {"type": "a.b", "claim_id": b"x" * (size * MB)})
        pipeline.execute()


@pytest.mark.parametrize("sizes_mb", [[100], [5] * 32], ids=["one of 100 MB", "32 of 5 MB"])
async def test_entries_that_fill_the_memory_are_buried_and_the_others_delivered(
    daemons: Daemons, client: redis.Redis, sizes_mb: list[int]
):
    process = await daemons.start()

    add_huge(client, *sizes_mb)
    daemons.publish()
    await until(lambda: len(daemons.dead_letters()) == len(sizes_mb), 60)
    await until(lambda: len(daemons.receiver.requests) == 1, 60)
    await until(lambda: not daemons.left_over(), 60)

    assert process.returncode is None
    assert most_memory_mb(process) < MOST_MB
    letters = daemons.dead_letters()
    assert {letter["reason"] for letter in letters} == {"invalid_event"}
    assert [json.loads(letter["event"])["shortened"]["bytes"] // MB for letter in letters] == (
        sizes_mb
    )


async def test_entry_of_half_a_million_fields_is_buried(daemons: Daemons, client: redis.Redis):
    process = await daemons.start()

    fields = [word for number in range(MB // 2) for word in (f"{number:x}", "")]
    client.execute_command("XADD", STREAM, "*", *fields)
    await until(lambda: len(daemons.dead_letters()) == 1, 60)

    assert process.returncode is None
    assert most_memory_mb(process) < MOST_MB


async def test_entry_of_which_a_process_died_is_claimed_without_its_content(
    daemons: Daemons, client: redis.Redis
):
    client.xgroup_create(STREAM, "notifier", id="0", mkstream=True)
    add_huge(client, 100)
    [[_, [(entry_id, _)]]] = client.xreadgroup("notifier", "gone", {STREAM: ">"})
    client.xclaim(STREAM, "notifier", "gone", 0, [entry_id], idle=10**9, justid=True)

    process = await daemons.start()
    await until(lambda: len(daemons.dead_letters()) == 1, 60)

    assert most_memory_mb(process) < MOST_MB


async def test_entries_of_line_ends_alone_are_buried_and_the_others_delivered(
    daemons: Daemons, client: redis.Redis
):
    process = await daemons.start()

    with client.pipeline(transaction=True) as pipeline:
        for _ in range(4):
            pipeline.xadd(STREAM, {"type": "a.b", "claim_id": b"\r\n" * (MB // 2 - 100)})
        pipeline.execute()
    daemons.publish()
    await until(lambda: len(daemons.receiver.requests) == 1, 20)

    assert process.returncode is None
    assert [letter["reason"] for letter in daemons.dead_letters()] == ["invalid_event"] * 4


KILLER = "deadly"
MANY = 31
SETTINGS = {
    "TEAMS_REDIS__LEASE_SECONDS": "1",
    "TEAMS_REDIS__BLOCK_SECONDS": "0.1",
    "TEAMS_REDIS__MAX_DELIVERIES": "3",
    "TEAMS_RATE_LIMIT__REQUESTS": "0",
}


async def lives(daemons: Daemons, step: str) -> bool:
    """Start a daemon that dies of the killer; return if it did all the rest."""
    process = await daemons.start(
        ready=False,
        program="tests.support.crashing",
        CRASH_AT=step,
        CRASH_OF=KILLER,
        **SETTINGS,
    )
    async with asyncio.timeout(60):
        while process.returncode is None:
            if len(daemons.dead_letters()) == 1 and not daemons.left_over():
                return True
            await asyncio.sleep(0.05)
    assert process.returncode == -signal.SIGKILL
    return False


@pytest.mark.parametrize("step", ["parse", "render", "post", "record"])
async def test_of_32_read_together_only_the_one_that_kills_becomes_poison(
    daemons: Daemons, step: str
):
    for number in range(MANY + 1):
        text = KILLER if number == 5 else "harmless"
        event = {
            "type": "a.b",
            "stakeholders": "sre",
            "priority": "HIGH",
            "id": f"e{number}",
            "note": text,
        }
        daemons.add(event)

    deaths = 0
    while not await lives(daemons, step):
        deaths += 1
        assert deaths < 10

    [letter] = daemons.dead_letters()
    assert letter["reason"] == "poison"
    assert KILLER in letter["event"]
    delivered = {row["event_id"] for row in daemons.rows() if row["status"] == "delivered"}
    await until(lambda: len(daemons.rows()) >= MANY)
    assert delivered == {f"e{number}" for number in range(MANY + 1)} - {"e5"}
