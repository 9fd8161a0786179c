"""Run a limited number of deliveries at a time, in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

from notifier.pipeline.stage import unless_stray

Work = Callable[[], Coroutine[None, None, None]]


class WorkerPool:
    """At most `limit` works at a time.

    A worker continues to the next work: a task for each would cost more.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """May be changed; works that have begun are not stopped for it."""
        self.in_flight = 0
        """Works that have not ended, also those that have not begun."""
        self._waiting: deque[tuple[Work, Callable[[], None]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: deque[Exception] = deque()
        self._most = 0
        self._few = asyncio.Event()
        """No more are in flight than somebody waits for, or one has failed."""

    def start(self, work: Work, let_go: Callable[[], None] = lambda: None) -> None:
        """Do this work when a worker is free; `let_go` is called if it fails."""
        self.in_flight += 1
        self._waiting.append((work, let_go))
        self._staff()

    async def until_at_most(self, most: int, *, seconds: float | None = None) -> bool:
        """Wait until at most `most` works are in flight; return whether they are.

        It waits without end, or for `seconds`.

        Raises what a work raised; of several that failed each call raises one.
        """
        self._most = most
        try:
            async with asyncio.timeout(seconds):
                while self.in_flight > most and not self._failed:
                    self._few.clear()
                    await self._few.wait()
        except TimeoutError:
            pass
        if self._failed:
            raise self._failed.popleft()
        return self.in_flight <= most

    def abandon(self) -> None:
        """Cancel what has begun and forget the rest."""
        self.in_flight -= len(self._waiting)
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    def _staff(self) -> None:
        if self._waiting and len(self._tasks) < self.limit:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._left)

    async def _work(self) -> None:
        while self._waiting and len(self._tasks) <= self.limit:
            work, let_go = self._waiting.popleft()
            try:
                await unless_stray(work())
            except Exception as exc:
                let_go()
                # Noted before anybody is woken, else who waits for the last one would miss it.
                self._failed.append(exc)
                self._few.set()
            finally:
                self.in_flight -= 1
                if self.in_flight <= self._most:
                    self._few.set()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A work that was started meanwhile has no worker yet.
        self._staff()
