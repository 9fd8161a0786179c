"""Collects finished notifications and hops them together: whatever ended during one hop goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

import structlog

from notifier.errors import StreamError
from notifier.stages.stage import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS
from notifier.streams.group import ConsumerGroup
from notifier.streams.hop import HopResult, Move

log = structlog.get_logger(__name__)

_AT_ONCE = 200


class Settler:
    """Hops the moves of one event stream's lanes."""

    def __init__(self, group: ConsumerGroup) -> None:
        self._group = group
        self._waiting: list[tuple[Sequence[Move], asyncio.Future[list[HopResult]]]] = []
        self._filled = asyncio.Event()

    async def settle(self, moves: Sequence[Move]) -> list[HopResult]:
        """Hop entries in one step; returns when it has happened, however long Redis is away."""
        done: asyncio.Future[list[HopResult]] = asyncio.get_running_loop().create_future()
        self._waiting.append((moves, done))
        self._filled.set()
        return await done

    async def run(self) -> None:
        """Hop what is waiting, until cancelled."""
        while True:
            await self._filled.wait()
            batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            if not self._waiting:
                self._filled.clear()
            results = iter(await self._hop([move for moves, _ in batch for move in moves]))
            for moves, done in batch:
                own = list(islice(results, len(moves)))
                if not done.done():
                    done.set_result(own)

    async def _hop(self, moves: list[Move]) -> list[HopResult]:
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return await self._group.hop(moves)
            except StreamError as exc:
                # What was posted must not be posted again: keep the results until Redis is back.
                log.warning("hop_waiting", notifications=len(moves), reason=str(exc))
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
