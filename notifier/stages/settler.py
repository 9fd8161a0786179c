"""Collects finished notifications and hops them together: whatever ended during one hop goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import structlog

from notifier.errors import StreamError
from notifier.stages.stage import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, leave_if_cancelled
from notifier.streams.group import ConsumerGroup
from notifier.streams.hop import HopResult, Move
from notifier.telemetry.logs import lines_together, log_unforeseen

log = structlog.get_logger(__name__)

_AT_ONCE = 200


Report = Callable[[Sequence[HopResult]], None]


class _Waiting(NamedTuple):
    moves: Sequence[Move]
    report: Report | None
    done: asyncio.Future[None]


class Settler:
    """Hops the moves of one event stream's lanes."""

    def __init__(self, group: ConsumerGroup) -> None:
        self._group = group
        self._waiting: list[_Waiting] = []
        self._filled = asyncio.Event()

    async def settle(self, moves: Sequence[Move], report: Report | None = None) -> None:
        """Hop entries in one step; returns when it has happened, however long Redis is away.

        What fails for another reason is raised here, and only here: moves that others settle hop without it.

        Args:
            moves: What to hop.
            report: Told what became of each: beside the reports of others, so that all lines in the log are one write.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(moves, report, done))
        self._filled.set()
        await done

    async def run(self) -> None:
        """Hop what is waiting, until cancelled."""
        while True:
            leave_if_cancelled()
            await self._filled.wait()
            batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            if not self._waiting:
                self._filled.clear()
            await self._settle(batch)

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        try:
            hopped = await self._hop([move for each in batch for move in each.moves])
        except Exception as exc:
            if len(batch) > 1:
                half = len(batch) // 2
                await self._settle(batch[:half])
                await self._settle(batch[half:])
            elif not batch[0].done.done():
                batch[0].done.set_exception(exc)
            return
        results = iter(hopped)
        with lines_together():
            for moves, report, done in batch:
                own = list(islice(results, len(moves)))
                if not done.done():
                    done.set_result(None)
                try:
                    if report is not None:
                        report(own)
                except Exception as exc:
                    log_unforeseen("outcome_not_reported", exc, entry_id=moves[0].entry_id)

    async def _hop(self, moves: list[Move]) -> list[HopResult]:
        wait = FIRST_WAIT_SECONDS
        while True:
            leave_if_cancelled()
            try:
                return await self._group.hop(moves)
            except StreamError as exc:
                # What was posted must not be posted again: keep the results until Redis is back.
                log.warning("hop_waiting", notifications=len(moves), reason=str(exc))
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
