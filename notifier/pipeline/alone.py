"""Try what processes may have died of: alone, so that the next death counts for it and for no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.errors import StreamError

T = TypeVar("T")

_LOOK_AGAIN_SECONDS = 1.0
_LONGEST_SECONDS = 1.0
"""A process dies of what an entry holds at once; what takes longer waits for somebody else."""


class ClaimedError(Exception):
    """Another process has claimed the notification: leave it to that one."""


@dataclass(frozen=True, slots=True)
class Alone:
    """What does the work on one entry."""

    group: Consumer
    entry: Entry
    sleep: Callable[[float], Awaitable[None]] | None = None
    """Waits until Redis is back; None: whoever does the work waits."""

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do this work; if the process dies of it, one death more is noted beside the entry.

        Raises:
            StreamError: Redis is away, and this is not to wait for it.
            ClaimedError: The entry is no longer this process's.
        """
        while True:
            working: asyncio.Future[T] | None = None
            try:
                async with self.group.trial(self.entry) as ours:
                    if not ours:
                        raise ClaimedError
                    working = asyncio.ensure_future(work())
                    await asyncio.wait({working}, timeout=_LONGEST_SECONDS)
            except StreamError:
                if self.sleep is None:
                    raise
                await self.sleep(_LOOK_AGAIN_SECONDS)
                continue
            except asyncio.CancelledError:
                if working is not None:
                    working.cancel()
                raise
            return await working
