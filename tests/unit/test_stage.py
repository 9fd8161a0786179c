"""The loop of a stage: it waits for servers, and ends after many failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, cast

import pytest

from notifier.broker.client import redis_errors
from notifier.errors import InternalError, StreamError
from notifier.pipeline import stage
from notifier.pipeline.stage import MOST_UNFORESEEN, run_steps
from notifier.telemetry.health import Health


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


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FIRST_WAIT_SECONDS", 0.0)


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
