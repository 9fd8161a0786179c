"""Of entries in flight together only the deadly one becomes poison."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.support.daemons import Daemons
from tests.support.waiting import until

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
