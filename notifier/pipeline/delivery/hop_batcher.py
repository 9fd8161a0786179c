"""Collect finished notifications and hop them together.

All that end during one hop go with the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.errors import StreamError
from notifier.pipeline.stage import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS
from notifier.telemetry.clock import raise_if_cancelled
from notifier.telemetry.logs import lines_together, log_unforeseen

log = structlog.get_logger(__name__)

_AT_ONCE = 200


Report = Callable[[Sequence[HopResult]], None]


class _Waiting:
    """Moves that hop together, and who waits for them."""

    __slots__ = ("done", "moves", "refused", "report", "results")

    def __init__(
        self, moves: Sequence[Move], report: Report | None, done: asyncio.Future[None]
    ) -> None:
        self.moves = moves
        self.report = report
        self.done = done
        self.results: list[HopResult] = []
        self.refused: Sequence[int] = range(len(moves))
        """Numbers of the moves that have not happened; each is tried again."""

    @property
    def left(self) -> Sequence[Move]:
        """Return what is to be hopped."""
        return [self.moves[number] for number in self.refused] if self.results else self.moves

    def note(self, results: Iterator[HopResult]) -> bool:
        """Note the results of what was left; return whether nothing is left."""
        if not self.results:
            self.results = [HopResult.REFUSED] * len(self.moves)
        for number in self.refused:
            self.results[number] = next(results)
        self.refused = [n for n in self.refused if self.results[n] is HopResult.REFUSED]
        return not self.refused


class HopBatcher:
    """Hops the moves of one event stream's lanes."""

    def __init__(self, group: Consumer) -> None:
        self._group = group
        self._waiting: list[_Waiting] = []
        self._filled = asyncio.Event()

    async def hop(self, moves: Sequence[Move], report: Report | None = None) -> None:
        """Hop entries in one step; return when it has happened.

        It waits however long Redis is away or refuses a key.

        Another error is raised here, and only here: the moves of others hop without it.

        Args:
            moves: The moves to hop.
            report: Called with the result of each, beside the reports of others, so that all log lines are one write.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._add(_Waiting(moves, report, done))
        await done

    def _add(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._filled.set()

    async def run(self) -> None:
        """Hop what is waiting, until cancelled."""
        while True:
            raise_if_cancelled()
            await self._filled.wait()
            batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            if not self._waiting:
                self._filled.clear()
            try:
                await self._hop_all(batch)
            except BaseException:
                # Whoever runs this again hops them again, also after a cancellation that a library let out: what has moved does not move twice.
                self._waiting[:0] = [each for each in batch if not each.done.done()]
                self._filled.set()
                raise

    async def _hop_all(self, batch: Sequence[_Waiting]) -> None:
        try:
            results = iter(await self._hop([move for each in batch for move in each.left]))
        except Exception as exc:
            log_unforeseen("hop_failed", exc, notifications=len(batch))
            if len(batch) > 1:
                half = len(batch) // 2
                await self._hop_all(batch[:half])
                await self._hop_all(batch[half:])
            elif not batch[0].done.done():
                batch[0].done.set_exception(exc)
            return
        with lines_together():
            for each in batch:
                if each.note(results):
                    _end(each)
                else:
                    # Others do not wait for it.
                    asyncio.get_running_loop().call_later(LONGEST_WAIT_SECONDS, self._add, each)

    async def _hop(self, moves: list[Move]) -> list[HopResult]:
        wait = FIRST_WAIT_SECONDS
        while True:
            raise_if_cancelled()
            try:
                return await self._group.hop(moves)
            except StreamError as exc:
                # A posted card must not be posted again: keep the results until Redis is back.
                log.warning("hop_waiting", notifications=len(moves), reason=str(exc))
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _end(waiting: _Waiting) -> None:
    if not waiting.done.done():
        waiting.done.set_result(None)
    try:
        if waiting.report is not None:
            waiting.report(waiting.results)
    except Exception as exc:
        log_unforeseen("outcome_not_reported", exc, entry_id=waiting.moves[0].entry_id)
