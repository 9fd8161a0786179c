"""Wait no longer for a server than is said, whatever its driver still does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

_LEFT: set[asyncio.Future[Any]] = set()
"""What nobody waits for any more and has not ended yet; a task that nothing refers to might vanish."""


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Return what the work returns, or leave it to end by itself.

    A query that is cancelled is not over: psycopg asks the server to end it, and waits some ten seconds for one that hangs.
    asyncio.timeout() would wait along.

    Args:
        seconds: How long to wait.
        work: What may take too long; it is cancelled then.

    Raises:
        TimeoutError: It took longer.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _leave(task)
        raise
    if not done:
        _leave(task)
        raise TimeoutError
    return task.result()


def _leave(task: asyncio.Future[T]) -> None:
    task.cancel()
    _LEFT.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Future[T]) -> None:
    _LEFT.discard(task)
    if not task.cancelled():
        # Whoever asked was told of the timeout; that the connection then broke says nothing more.
        task.exception()
