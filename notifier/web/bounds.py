"""Bound what clients can hold of the public listener: connections, and how long each may last."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

_LONGEST_SECONDS = 45.0
_MOST_CONNECTIONS = 500
_LOOK_SECONDS = 1.0


async def bound_connections(
    server: web.Server,
    *,
    longest_seconds: float = _LONGEST_SECONDS,
    most: int = _MOST_CONNECTIONS,
) -> None:
    """Cut connections that last too long, and the newest of too many, until cancelled.

    A page is one short request; who needs longer sends slowly on purpose. aiohttp itself waits for headers without end.
    """
    since: dict[int, float] = {}
    while True:
        now = time.monotonic()
        connections = {id(each): each for each in server.connections}
        since = {key: since.get(key, now) for key in connections}
        oldest_first = sorted(connections, key=since.__getitem__)
        for number, key in enumerate(oldest_first):
            transport = connections[key].transport
            if transport is not None and (number >= most or now - since[key] > longest_seconds):
                transport.abort()
        await asyncio.sleep(_LOOK_SECONDS)
