"""The tests' measurement of long steps is right."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.steps import no_long_step


async def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_a_long_step_is_noticed_by_its_name_and_waiting_is_none():
    with pytest.raises(AssertionError, match="busy"), no_long_step(0.05):
        await asyncio.create_task(busy(0.06))
    with no_long_step(0.05):
        await asyncio.sleep(0.06)
        await asyncio.create_task(busy(0.001))
