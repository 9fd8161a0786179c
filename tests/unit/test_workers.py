"""A pool runs a limited number of works, in order, and reports failures."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial

import pytest

from notifier.pipeline.worker_pool import WorkerPool


class Yard:
    """Works that begin and end on command."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    def work(self, name: str) -> partial[Coroutine[None, None, None]]:
        self._ends[name] = asyncio.Event()
        return partial(self._work, name)

    async def _work(self, name: str) -> None:
        self.begun.append(name)
        await self._ends[name].wait()
        self.ended.append(name)

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settled()


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_at_a_time_and_in_order() -> None:
    yard, workers = Yard(), WorkerPool(2)
    for name in "abcde":
        workers.start(yard.work(name))
    await settled()
    assert yard.begun == ["a", "b"]
    await yard.end("b")
    assert yard.begun == ["a", "b", "c"]
    await yard.end("a", "c")
    assert yard.begun == ["a", "b", "c", "d", "e"]
    assert workers.in_flight == 2
    await yard.end("d", "e")
    assert workers.in_flight == 0


async def test_work_that_comes_as_the_last_one_ends_is_done_too() -> None:
    yard, workers = Yard(), WorkerPool(1)
    more = [yard.work("b"), yard.work("c")]

    async def last() -> None:
        workers.start(more.pop(0))

    for _ in range(2):
        workers.start(last)
        await settled()
    await yard.end("b", "c")
    assert yard.ended == ["b", "c"]


async def test_it_is_told_when_few_are_left() -> None:
    yard, workers = Yard(), WorkerPool(2)
    for name in "abc":
        workers.start(yard.work(name))
    few = asyncio.create_task(workers.until_at_most(1))
    await settled()
    await yard.end("a")
    assert not few.done()
    await yard.end("b")
    assert few.done()
    assert await few
    assert not await workers.until_at_most(0, seconds=0.01)
    await yard.end("c")
    assert await workers.until_at_most(0)


async def test_a_failure_is_raised_where_it_is_waited_for_and_stops_no_other() -> None:
    yard, workers = Yard(), WorkerPool(1)

    async def fail() -> None:
        raise LookupError("gone")

    workers.start(fail)
    workers.start(yard.work("b"))
    with pytest.raises(LookupError, match="gone"):
        await workers.until_at_most(0)
    await settled()
    await yard.end("b")
    assert yard.ended == ["b"]
    assert await workers.until_at_most(0)


async def test_a_failure_wakes_whoever_waits_for_more_to_end() -> None:
    yard, workers = Yard(), WorkerPool(2)
    failing = asyncio.Event()

    async def fail() -> None:
        await failing.wait()
        raise LookupError("gone")

    workers.start(yard.work("a"))
    workers.start(fail)
    waiting = asyncio.create_task(workers.until_at_most(0))
    await settled()
    failing.set()
    with pytest.raises(LookupError, match="gone"):
        await waiting
    await yard.end("a")


async def test_the_failure_of_the_last_one_is_raised_too() -> None:
    workers = WorkerPool(1)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("gone")

    workers.start(fail)
    with pytest.raises(LookupError, match="gone"):
        await workers.until_at_most(0)
    assert await workers.until_at_most(0)


async def test_each_of_several_failures_is_raised() -> None:
    workers = WorkerPool(3)

    async def fail(error: Exception) -> None:
        raise error

    errors = [LookupError("a"), LookupError("b"), LookupError("c")]
    for error in errors:
        workers.start(partial(fail, error))
    raised: list[Exception] = []
    for _ in errors:
        with pytest.raises(LookupError) as caught:
            await workers.until_at_most(0)
        raised.append(caught.value)
    assert raised == errors
    assert await workers.until_at_most(0)


async def test_a_work_that_took_too_long_is_not_taken_for_a_wait_that_did() -> None:
    yard, workers = Yard(), WorkerPool(2)

    async def fail() -> None:
        raise TimeoutError("no answer")

    workers.start(fail)
    workers.start(yard.work("a"))
    with pytest.raises(TimeoutError, match="no answer"):
        await workers.until_at_most(0)
    await yard.end("a")


@pytest.mark.parametrize(("limit", "begun"), [(1, "abcd"), (3, "abcdef")])
async def test_another_limit_holds_from_the_next_work_on(limit: int, begun: str) -> None:
    yard, workers = Yard(), WorkerPool(2)
    for name in "abcdef":
        workers.start(yard.work(name))
    await settled()
    workers.limit = limit
    await yard.end("a", "b")
    workers.start(yard.work("g"))
    await settled()
    if limit == 1:
        assert yard.begun == ["a", "b", "c"]
        await yard.end("c")
    assert "".join(yard.begun) == begun[: len(yard.begun)]
    assert len(yard.begun) - len(yard.ended) == limit
    await yard.end(*"cdefg"[: 5 if limit == 3 else 1])
    workers.abandon()
    await settled()


async def test_what_is_abandoned_ends_and_the_rest_never_begins() -> None:
    yard, workers = Yard(), WorkerPool(1)
    for name in "ab":
        workers.start(yard.work(name))
    await settled()
    workers.abandon()
    await settled()
    assert (yard.begun, yard.ended, workers.in_flight) == (["a"], [], 0)
    assert await workers.until_at_most(0)


async def test_a_work_that_fails_or_is_cancelled_by_a_library_lets_go_and_one_that_is_abandoned_does_not() -> (
    None
):
    yard, workers = Yard(), WorkerPool(3)
    let_go: list[str] = []

    async def stray() -> None:
        raise asyncio.CancelledError

    async def fail() -> None:
        raise LookupError

    workers.start(stray, lambda: let_go.append("stray"))
    workers.start(fail, lambda: let_go.append("failed"))
    workers.start(yard.work("a"), lambda: let_go.append("abandoned"))
    await settled()
    workers.abandon()
    await settled()

    assert let_go == ["stray", "failed"]
    assert workers.in_flight == 0
