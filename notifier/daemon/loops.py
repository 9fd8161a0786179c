"""Run the loops of a process; an unexpected end of one ends the process."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

import structlog

from notifier.errors import InternalError, UnreachableError
from notifier.pipeline.stage import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    MOST_UNFORESEEN,
    unless_stray,
)
from notifier.telemetry.clock import raise_if_cancelled
from notifier.telemetry.health import Health
from notifier.telemetry.logs import log_unforeseen

log = structlog.get_logger(__name__)

_LASTED_SECONDS = 60.0
"""A failure after a run of this length starts a new row."""
_CANCEL_SECONDS = 0.2


class Loop(NamedTuple):
    """A coroutine that runs until the daemon stops."""

    name: str
    """Shown in /readyz and in the log."""
    run: Callable[[], Awaitable[None]]


class Loops:
    """The tasks of one process."""

    def __init__(self, health: Health, stop: asyncio.Event) -> None:
        self._health = health
        self._stop = stop
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self.failed: InternalError | None = None
        """Why the process cannot continue; `stop` is set then."""

    def start(self, loop: Loop, *, may_end: Callable[[], bool]) -> asyncio.Task[None]:
        """Run a loop; if it ends before `may_end`, or raises, the daemon stops."""
        task = asyncio.create_task(_awaited(loop.run), name=loop.name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, loop.name, may_end))
        return task

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task that ends; log its failure."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def end(self, *, seconds: float) -> None:
        """Cancel the running tasks and wait at most this long for their end."""
        self._ending = True
        until = time.monotonic() + seconds
        left = set(self._tasks)
        while left and time.monotonic() < until:
            # Repeatedly: before Python 3.12 asyncio.wait_for() may swallow a cancellation.
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=min(seconds, _CANCEL_SECONDS))
        if left:
            log.error("loops_left", loops=sorted(task.get_name() for task in left))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log_unforeseen("task_failed", exc, task=task.get_name())

    def _ended(self, name: str, may_end: Callable[[], bool], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        exc = None if task.cancelled() else task.exception()
        if exc is None and (self._ending or may_end()):
            return
        match exc:
            case InternalError():
                why = str(exc)
            case None:
                why = f"{name} ended unexpectedly; report this line"
            case _:
                why = f"{name} {log_unforeseen('loop_failed', exc, loop=name)}"
        log.error(
            "loop_ended",
            loop=name,
            reason=why,
            fix="the daemon finishes deliveries in flight, then exits with 6",
        )
        self._health.mark_ended(name, why)
        self.failed = self.failed or InternalError(why)
        self._stop.set()


async def keep_running(loop: Loop, health: Health) -> None:
    """Run a loop, and start it again after a failure.

    Raises:
        InternalError: It has failed unforeseen MOST_UNFORESEEN times in a row.
    """
    wait, in_a_row = FIRST_WAIT_SECONDS, 0
    while True:
        raise_if_cancelled()
        began = time.monotonic()
        try:
            return await unless_stray(loop.run())
        except UnreachableError as exc:
            why = str(exc)
            log.warning("loop_waiting", loop=loop.name, reason=why)
        except Exception as exc:
            if time.monotonic() - began > _LASTED_SECONDS:
                wait, in_a_row = FIRST_WAIT_SECONDS, 0
            in_a_row += 1
            why = log_unforeseen("loop_failed", exc, loop=loop.name, in_a_row=in_a_row)
            if in_a_row >= MOST_UNFORESEEN:
                raise InternalError(f"{loop.name} {why}") from exc
        health.expect(loop.name)
        health.mark_failed(loop.name, why)
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)
        health.forget(loop.name)


async def _awaited(run: Callable[[], Awaitable[None]]) -> None:
    await run()


class LastResort:
    """Ends a process that hangs: a thread, which does not need the event loop."""

    def __init__(self) -> None:
        # A signal handler may put into it at any time; to start a thread there may deadlock.
        self._requests: SimpleQueue[float] = SimpleQueue()
        threading.Thread(target=self._wait, name="last resort", daemon=True).start()

    def arm(self, seconds: float) -> None:
        """End the process after this many seconds; only the first call counts."""
        self._requests.put(seconds)

    def _wait(self) -> None:
        seconds = self._requests.get()
        time.sleep(seconds)
        log.critical(
            "process_does_not_end", seconds=seconds, fix="it is killed now; report this line"
        )
        os._exit(InternalError.exit_code)
