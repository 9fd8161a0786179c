"""The time, intervals, and waits that end with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def raise_if_cancelled() -> None:
    """Raise CancelledError if this task must end and a library hid that.

    Before Python 3.12 asyncio.wait_for() may: it returns what came at the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def sleep_unless_stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep; return True at once if `stop` is or becomes set."""
    raise_if_cancelled()
    if stop.is_set() or seconds <= 0:
        return stop.is_set()
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


class Every:
    """Is due once per interval; `clock` gives monotonic seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = 0.0

    def due(self) -> bool:
        """Tell whether the interval has passed since it was last due."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

    def again(self) -> None:
        """Be due at once."""
        self._next = 0.0

    def later(self) -> None:
        """Be due when the interval has passed from now on."""
        self._next = self._clock() + self._seconds
