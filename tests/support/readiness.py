"""What /readyz says, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.support.daemons import Daemons


async def until_ready(daemons: Daemons) -> None:
    await until_state(daemons, lambda state: state["status"] == 200)


async def readiness(daemons: Daemons) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{daemons.admin_urls[0]}/readyz") as answer,
    ):
        return {**(await answer.json()), "status": answer.status}


async def until_state(daemons: Daemons, wanted: Callable[[Any], bool]) -> Any:
    """Return the first answer of /readyz that is as wanted."""
    async with asyncio.timeout(60):
        while not wanted(state := await readiness(daemons)):
            await asyncio.sleep(0.1)
    return state
