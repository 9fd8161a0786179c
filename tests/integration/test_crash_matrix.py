"""Every window of the three stages, hit by a real SIGKILL: nothing is lost, one row each, and only POST to hop repeats."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from tests.integration.daemons import Daemons
from tests.integration.test_pipeline import dead, left_over, rows, until, xadd

WINDOWS = [
    "before intake read", "after intake read", "before intake hop", "after intake hop",
    "before delivery read", "after delivery read", "before delivery post", "after delivery post",
    "before delivery hop", "after delivery hop",
    "before recorder read", "after recorder read", "before recorder commit", "after recorder commit",
    "before recorder hop", "after recorder hop",
]  # fmt: skip
REPEATED = {"after delivery post", "before delivery hop"}
"""What was posted and not hopped yet comes twice; with one post at a time that is one."""
EVENTS = 8
LEASE = {"TEAMS_REDIS__LEASE_SECONDS": "1", "TEAMS_DELIVERY__IN_FLIGHT": "1"}


@pytest.mark.parametrize("window", WINDOWS)
async def test_a_process_killed_in_this_window_loses_and_repeats_nothing_else(
    daemons: Daemons, window: str
):
    crashing_stage = window.split()[1]
    others = ",".join(
        stage for stage in ("intake", "delivery", "recorder") if stage != crashing_stage
    )
    await daemons.start("--stages", others, **LEASE)
    for number in range(EVENTS):
        xadd(daemons.redis_url, {"type": "a.b", "stakeholders": "sre", "id": f"e{number}"})

    process = await daemons.start(
        "--stages", crashing_stage, ready=False, program="tests.integration.crashing", CRASH_AT=window, **LEASE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        assert await process.wait() == -signal.SIGKILL
    await daemons.start("--stages", crashing_stage, **LEASE)

    await until(lambda: len(rows(daemons.database_url)) == EVENTS, 60)
    await until(lambda: not left_over(daemons.redis_url))
    assert {row["event_id"] for row in rows(daemons.database_url)} == {
        f"e{n}" for n in range(EVENTS)
    }
    assert {row["status"] for row in rows(daemons.database_url)} == {"delivered"}
    assert dead(daemons.redis_url) == []
    posts = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert len(posts) == EVENTS
    repeated = posts.total() - EVENTS
    assert repeated == (1 if window in REPEATED else 0)
