"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
from typing import Any


async def until(condition: Any, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
