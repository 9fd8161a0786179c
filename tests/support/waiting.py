"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any


async def until(condition: Any, seconds: float = 60) -> None:
    """Wait until the condition, also an asynchronous one, is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.05)
