"""Notice a step of the event loop that keeps all channels waiting."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONGEST_SECONDS = 0.1
"""Of processor time: on a busy machine the clock on the wall says nothing."""


@contextmanager
def no_long_step(seconds: float = LONGEST_SECONDS) -> Iterator[dict[str, float]]:
    """Fail if a step took longer; yield the longest step by its name."""
    if sys.gettrace() is not None:
        seconds *= 10  # what measures coverage takes most of the time
    longest: dict[str, float] = {}
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> Any:
        name = _name(handle)
        began = time.thread_time()
        try:
            return run(handle)
        finally:
            longest[name] = max(longest.get(name, 0.0), time.thread_time() - began)

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield longest
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
    late = {name: round(took, 3) for name, took in longest.items() if took > seconds}
    assert not late, f"steps over {seconds:g} s of processor time: {late}"


def _name(handle: asyncio.Handle) -> str:
    callback = handle._callback
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return getattr(task.get_coro(), "__qualname__", task.get_name())
    # Not its repr: that of aiohttp's answers keeps headers that have not come yet.
    return getattr(callback, "__qualname__", type(callback).__name__)
