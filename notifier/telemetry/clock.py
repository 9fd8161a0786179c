"""The time, intervals, durations, and waits that end with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


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


def duration(seconds: float, *, precise: bool = False) -> str:
    """Write a duration in its two largest units: 3 d 4 h, 4 min 10 s, 5 s.

    With `precise` one below a minute shows fractions: 830 ms, 1.45 s.
    """
    if precise and round(seconds * 1000) < 1000:
        return f"{seconds * 1000:.0f} ms"
    if precise and round(seconds, 2) < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    left = max(0, round(seconds))
    for (size, unit), (next_size, next_unit) in pairwise(_UNITS):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{left} s"
