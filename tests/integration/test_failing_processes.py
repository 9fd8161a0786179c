"""Processes that fail: at any await, stalled, hanging, or unheard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import Daemons
from tests.support.processes import start
from tests.support.waiting import until

EVENTS = 8
LEASE = {"TEAMS_REDIS__LEASE_SECONDS": "1", "TEAMS_DELIVERY__IN_FLIGHT": "1"}


async def test_process_that_stood_still_repeats_only_the_post_that_was_in_flight(
    daemons: Daemons,
):
    daemons.receiver.answer(202, delay=0.5, times=1)
    stalled = await daemons.start(**LEASE)
    for number in range(EVENTS):
        daemons.publish(id=f"e{number}")
    await daemons.receiver.wait_for(1)
    stalled.send_signal(signal.SIGSTOP)

    other = await daemons.start(**LEASE)
    await until(lambda: len(daemons.rows()) == EVENTS, 60)
    other.terminate()
    assert await other.wait() == 0
    stalled.send_signal(signal.SIGCONT)
    # Its entries in flight come before new ones.
    daemons.publish(id="last")
    await until(lambda: len(daemons.rows()) == EVENTS + 1, 60)
    await until(lambda: not daemons.left_over())

    posts = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert len(posts) == EVENTS + 1
    assert posts.total() - len(posts) <= 1


async def test_process_that_stood_still_between_two_attempts_leaves_the_next_to_who_took_over(
    daemons: Daemons,
):
    daemons.receiver.answer(503, headers={"Retry-After": "3"}, times=1)
    stalled = await daemons.start(**LEASE)
    daemons.publish(id="e0")
    await daemons.receiver.wait_for(1)
    stalled.send_signal(signal.SIGSTOP)

    other = await daemons.start(**LEASE)
    await until(lambda: len(daemons.rows()) == 1, 60)
    other.terminate()
    assert await other.wait() == 0
    stalled.send_signal(signal.SIGCONT)
    # With one slot, this comes only after what was being retried.
    daemons.publish(id="last")
    await until(lambda: len(daemons.rows()) == 2, 60)

    assert len(daemons.receiver.requests) == 3


async def test_a_loop_that_ends_is_named_by_readyz_while_what_is_in_flight_is_finished(
    daemons: Daemons, tmp_path: Path
):
    flag = tmp_path / "flag"
    daemons.receiver.answer(202, delay=2)
    process = await daemons.start(
        program="tests.support.failing", FAIL_AS="ends", FAIL_WHEN=str(flag)
    )
    daemons.publish(id="e")
    await daemons.receiver.wait_for(1)

    flag.touch()
    state = await daemons.until_state(lambda state: state["status"] == 503)

    assert "leases" in state["parts"]
    assert await process.wait() == 6
    assert "loop_ended" in daemons.log()
    assert daemons.dead_letters() == []
    await daemons.start()
    await until(lambda: [row["status"] for row in daemons.rows()] == ["delivered"])
    assert len(daemons.receiver.requests) == 1


async def test_a_signal_ends_a_process_whose_event_loop_hangs(daemons: Daemons, tmp_path: Path):
    flag = tmp_path / "flag"
    process = await daemons.start(
        program="tests.support.failing",
        FAIL_AS="hangs",
        FAIL_WHEN=str(flag),
        TEAMS_DELIVERY__STOP_TIMEOUT_SECONDS="1",
    )
    flag.touch()
    await until((tmp_path / "flag.seen").exists)
    process.send_signal(signal.SIGTERM)

    assert await process.wait() == 6


async def test_a_log_that_nobody_reads_holds_up_no_card_and_no_end(daemons: Daemons):
    reading, writing = os.pipe()
    env = daemons.environment() | {"TEAMS_ADMIN__BIND": ""}
    count = 150
    try:
        with open(writing, "wb") as log:
            process = start("run", env=env, output=log)
        daemons.processes.append(process)
        for number in range(count):
            daemons.publish(id=f"e{number}", stakeholders="sre,pmo")
        await until(lambda: len(daemons.rows()) == 2 * count)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        os.close(reading)
    assert len(daemons.receiver.requests) == 2 * count


ROOT = Path(__file__).parents[2]
_FEW = 40
"""Every so manieth point is walked in each run of the tests; make test-slow walks all."""


def walked(redis_url: str, database_url: str, part: str) -> list[dict[str, Any]]:
    """Return what was found at each point of this part."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.walking", redis_url, database_url, part],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(found: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {
        f"{each['point']} {each['after']}": each["wrong"] for each in found if each["wrong"]
    }


def test_some_awaits_that_raise_leave_the_other_channels_alone(
    redis_url: str, database_url: str
):
    found = walked(redis_url, database_url, f"0/{_FEW}")

    assert faults(found) == {}
    assert sum(each["reached"] for each in found) > 4


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_await_that_raises_leaves_the_other_channels_alone(
    part: int, redis_url: str, database_url: str
):
    found = walked(redis_url, database_url, f"{part}/4")

    assert faults(found) == {}
    assert sum(each["reached"] for each in found) > len(found) / 2
