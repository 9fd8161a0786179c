"""Proxies to Redis, Postgres and the receiver, with faults on demand.

Each can be slow, send in halves, break off, cut, or hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from tests.chaos.plan import Fault, Way
from tests.support.proxy import Proxy

DELAY_SECONDS = 0.1


class Network:
    """One proxy in front of each server, for all daemons."""

    def __init__(self, urls: Mapping[Way, str]) -> None:
        self._proxies = {
            way: Proxy(urlsplit(url).hostname or "", urlsplit(url).port or 0)
            for way, url in urls.items()
        }
        self._locks = {way: asyncio.Lock() for way in urls}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Carry connections until the block ends."""
        async with AsyncExitStack() as stack:
            for proxy in self._proxies.values():
                await stack.enter_async_context(proxy.serving())
            yield

    def through(self, way: Way, url: str) -> str:
        """Return the URL that leads to the same server through its proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(
            parts._replace(netloc=f"{user}{at}127.0.0.1:{self._proxies[way].port}")
        )

    @asynccontextmanager
    async def disturbed(self, way: Way, fault: Fault) -> AsyncIterator[None]:
        """Disturb everything on this way until the block ends; one fault at once."""
        async with self._locks[way]:
            proxy = self._proxies[way]
            match fault:
                case Fault.DELAY:
                    proxy.delay_seconds = DELAY_SECONDS
                case Fault.HALVE:
                    proxy.halving = True
                case Fault.BREAK:
                    proxy.breaking = True
                case Fault.CUT:
                    proxy.refusing = True
                    proxy.cut()
                case Fault.HANG:
                    proxy.open.clear()
            try:
                yield
            finally:
                proxy.delay_seconds = 0.0
                proxy.halving = proxy.breaking = proxy.refusing = False
                proxy.open.set()
