"""Loops: an unexpected end stops the daemon, a failed one starts again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from notifier.daemon import loops as module
from notifier.daemon.loops import Loop, Loops, keep_running
from notifier.errors import InternalError, StreamError
from notifier.pipeline.stage import MOST_UNFORESEEN
from notifier.telemetry.health import Health


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0.0)


class Owner:
    """Loops whose daemon works."""

    def __init__(self) -> None:
        self.health = Health()
        self.health.expect("other")
        self.health.mark_healthy("other")
        self.stop = asyncio.Event()
        self.loops = Loops(self.health, self.stop)

    async def run(self, run: Callable[[], Awaitable[None]]) -> None:
        self.loops.start(Loop("outcomes", run), may_end=self.stop.is_set)
        await asyncio.wait_for(self.stop.wait(), 10)


async def fails() -> None:
    raise LookupError("Sara")


async def returns() -> None:
    pass


async def is_cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("run", [fails, returns, is_cancelled])
async def test_a_loop_that_ends_unasked_stops_the_daemon_and_makes_it_unready(
    run: Callable[[], Awaitable[None]],
):
    owner = Owner()
    await owner.run(run)

    assert not owner.health.ready
    assert "outcomes" in owner.health.components["outcomes"]
    assert isinstance(owner.loops.failed, InternalError)
    assert "Sara" not in str(owner.loops.failed)
    assert owner.loops.failed.exit_code == 6


async def test_what_ends_because_it_was_asked_to_is_no_failure():
    owner = Owner()
    owner.loops.start(Loop("stage", owner.stop.wait), may_end=owner.stop.is_set)  # type: ignore[arg-type]
    owner.loops.start(Loop("leases", asyncio.Event().wait), may_end=owner.stop.is_set)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    owner.stop.set()
    await asyncio.sleep(0)
    await owner.loops.end(seconds=10)

    assert owner.loops.failed is None
    assert owner.health.ready


async def test_a_loop_that_swallows_its_end_keeps_nobody_waiting(
    capsys: pytest.CaptureFixture[str],
):
    owner, leave = Owner(), asyncio.Event()

    async def stays() -> None:
        while not leave.is_set():
            try:
                await leave.wait()
            except asyncio.CancelledError:
                continue

    task = owner.loops.start(Loop("leases", stays), may_end=owner.stop.is_set)
    await asyncio.sleep(0)
    await owner.loops.end(seconds=0.01)

    assert "loops_left" in capsys.readouterr().out
    leave.set()
    await task


async def test_a_loop_that_swallows_its_end_once_is_ended_all_the_same(
    capsys: pytest.CaptureFixture[str],
):
    """asyncio.wait_for() did before Python 3.12."""
    owner = Owner()

    async def swallows() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = owner.loops.start(Loop("leases", swallows), may_end=owner.stop.is_set)
    await asyncio.sleep(0)
    await owner.loops.end(seconds=10)

    assert task.cancelled()
    assert "loops_left" not in capsys.readouterr().out


async def test_a_serving_loop_runs_again_whatever_it_raises_and_gives_up_after_many():
    health, runs = Health(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs > 3 * MOST_UNFORESEEN:
            raise LookupError
        raise StreamError("away")

    with pytest.raises(InternalError):
        await keep_running(Loop("leases", run), health)

    assert runs == 4 * MOST_UNFORESEEN


LAST_RESORT = """
import asyncio
from notifier.daemon.loops import LastResort
LastResort().arm(0.2)
async def hang():
    while True:
        pass
asyncio.run(hang())
"""


def test_a_process_whose_event_loop_hangs_ends_all_the_same():
    done = subprocess.run(
        [sys.executable, "-c", LAST_RESORT], timeout=60, check=False, capture_output=True
    )

    assert done.returncode == 6
    assert b"process_does_not_end" in done.stdout + done.stderr
