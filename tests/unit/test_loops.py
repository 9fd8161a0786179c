"""Loops, their steps, and the moves and entries that wait for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest
from msgspec.structs import replace

from notifier.broker.client import redis_errors
from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.broker.hop import HopResult, Move
from notifier.daemon import loops
from notifier.daemon.loops import Loop, Loops, keep_running
from notifier.errors import InternalError, StreamError
from notifier.events.notification import encode
from notifier.pipeline import stage
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from notifier.pipeline.stage import MOST_UNFORESEEN, decoded, run_steps
from notifier.telemetry.health import Health
from tests.support.stages import ONE


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (loops, stage):
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


class Steps:
    """A loop whose steps raise what a test says, then stop."""

    def __init__(self, raised: Iterable[Exception | None]) -> None:
        self._raised = iter(raised)
        self.health = Health()
        self.stop = asyncio.Event()
        self.states: list[str] = []

    async def step(self) -> None:
        self.states.append(self.health.components["loop"])
        await asyncio.sleep(0)
        try:
            raised = next(self._raised)
        except StopIteration:
            self.stop.set()
            return
        if raised is not None:
            raise raised

    async def run(self) -> None:
        await run_steps(self.step, component="loop", stop=self.stop, health=self.health)


async def test_whatever_a_turn_raises_the_loop_goes_on_and_readiness_says_so_meanwhile():
    steps = Steps([None, LookupError("Sara"), None])

    await steps.run()

    assert [steps.states[1], steps.states[3]] == ["ok", "ok"]
    assert "LookupError at" not in steps.states[1]
    assert "LookupError" in steps.states[2]
    assert "Sara" not in steps.states[2]


async def test_failures_without_a_good_turn_between_them_end_the_loop():
    steps = Steps([LookupError()] * (MOST_UNFORESEEN - 1) + [None] + [LookupError()] * 100)

    with pytest.raises(InternalError):
        await steps.run()

    assert len(steps.states) == 2 * MOST_UNFORESEEN


async def test_a_server_that_is_away_never_ends_a_loop():
    steps = Steps([StreamError("away")] * (3 * MOST_UNFORESEEN))

    await steps.run()

    assert len(steps.states) == 3 * MOST_UNFORESEEN + 1


async def test_a_loop_that_is_to_end_ends_though_something_has_swallowed_that():
    """asyncio.wait_for() did before Python 3.12."""

    async def step() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise StreamError("away") from None

    begun = asyncio.Event()
    task = asyncio.create_task(
        run_steps(step, component="loop", stop=asyncio.Event(), health=Health())
    )
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=10)

    assert done
    assert task.cancelled()


async def test_a_loop_that_waits_for_a_slow_server_counts_as_alive_and_one_that_hangs_does_not():
    health, stop = Health(), asyncio.Event()
    answers, never = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        async with redis_errors(cast("Any", None), "redis://away.invalid"):
            await answers.wait()
        await never.wait()

    task = asyncio.create_task(run_steps(step, component="loop", stop=stop, health=health))
    await asyncio.sleep(0)
    watchdog = 120.0
    later = time.monotonic() + 2 * watchdog
    assert health.stalled(later, watchdog) == []

    answers.set()
    await asyncio.sleep(0)
    assert health.stalled(later, watchdog) == ["loop"]
    task.cancel()
    await asyncio.wait({task})


async def test_what_an_ended_loop_started_is_not_watched_any_more():
    health, stop, goes_on = Health(), asyncio.Event(), asyncio.Event()
    left: list[asyncio.Task[None]] = []

    async def work() -> None:
        await goes_on.wait()
        async with redis_errors(cast("Any", None), "redis://away.invalid"):
            pass

    async def step() -> None:
        left.append(asyncio.create_task(work()))
        stop.set()

    await run_steps(step, component="loop", stop=stop, health=health)
    goes_on.set()
    await left[0]

    assert health.beats == {}


async def test_a_cancellation_that_nobody_asked_for_is_a_failure_as_any_other():
    steps = 0
    stop = asyncio.Event()

    async def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            stop.set()
        if steps == 1:
            cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled

    await run_steps(step, component="loop", stop=stop, health=Health())

    assert steps == 3


class Group:
    """Hops, but the first time a library lets a cancellation out."""

    def __init__(self) -> None:
        self.hopped: list[str] = []
        self._cancels = True

    async def hop(self, moves: Sequence[Move]) -> list[HopResult]:
        if self._cancels:
            self._cancels = False
            raise asyncio.CancelledError
        self.hopped += [move.entry_id for move in moves]
        return [HopResult.MOVED for _ in moves]


async def test_what_waits_is_hopped_by_the_next_run_after_a_cancellation_of_nobody() -> None:
    group = Group()
    hop_batcher = HopBatcher(cast("Consumer", group))
    hopping = asyncio.create_task(hop_batcher.hop([Move("{s}:in", "1-0")]))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await hop_batcher.run()

    again = asyncio.create_task(hop_batcher.run())
    async with asyncio.timeout(5):
        await hopping
    again.cancel()

    assert group.hopped == ["1-0"]


async def test_others_have_their_turn_between_large_notifications() -> None:
    text = encode(replace(ONE, data={"text": "x" * 50_000}))
    entries = [Entry("lane", f"{number}-1", {b"notification": text}) for number in range(9)]
    unreadable: list[Entry] = []
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    found = await decoded([*entries, Entry("lane", "9-1", {})], unreadable.append)
    beside.cancel()

    assert [entry.id for entry, _ in found] == [entry.id for entry in entries]
    assert [entry.id for entry in unreadable] == ["9-1"]
    assert turns >= 9
