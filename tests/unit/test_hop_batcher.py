"""Waiting moves are hopped, whatever ends the loop that hops them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.pipeline.delivery.hop_batcher import HopBatcher


class Group:
    """Hops, but the first time a library lets a cancellation out."""

    def __init__(self) -> None:
        self.hopped: list[str] = []
        self._cancels = True

    async def hop(self, moves: Sequence[Move]) -> list[HopResult]:
        if self._cancels:
            self._cancels = False
            raise asyncio.CancelledError
        self.hopped += [move.entry_id for move in moves]
        return [HopResult.MOVED for _ in moves]


async def test_what_waits_is_hopped_by_the_next_run_after_a_cancellation_of_nobody() -> None:
    group = Group()
    hop_batcher = HopBatcher(cast("Consumer", group))
    hopping = asyncio.create_task(hop_batcher.hop([Move("{s}:in", "1-0")]))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await hop_batcher.run()

    again = asyncio.create_task(hop_batcher.run())
    async with asyncio.timeout(5):
        await hopping
    again.cancel()

    assert group.hopped == ["1-0"]
