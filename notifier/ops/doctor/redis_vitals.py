"""How a Redis server fares: memory, its disk, its clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError

from notifier.broker.client import Client, redis_errors
from notifier.config import RedisSettings


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one server says of itself; None = it does not say, or not to this user."""

    node: str
    """host:port of a cluster's node; empty where there is one server."""
    ahead_seconds: float | None
    """How far its clock is ahead of ours."""
    used_bytes: int | None = None
    max_bytes: int | None = None
    """Its maxmemory; 0 = none."""
    writes_fail: bool = False
    """It could not write its append-only file or its last snapshot."""
    role: str | None = None
    clients: int | None = None
    max_clients: int | None = None


async def read_vitals(
    client: Client, settings: RedisSettings, *, now: Callable[[], float]
) -> list[Vitals]:
    """Ask the server, or every master of a cluster; `now` gives Unix seconds.

    Raises:
        StreamError: Redis is away.
    """
    async with redis_errors(client, settings.url):
        if not isinstance(client, RedisCluster):
            return [await _ask(client, "", {}, now)]
        await client.initialize()
        return [
            await _ask(client, node.name, {"target_nodes": [node]}, now)
            for node in client.get_primaries()
        ]


async def clock_ahead(
    client: Client, settings: RedisSettings, *, now: Callable[[], float]
) -> float | None:
    """Return how many seconds the clock of the server, or of a cluster's first master, is ahead of ours; None: it does not say.

    Raises:
        StreamError: Redis is away.
    """
    async with redis_errors(client, settings.url):
        if not isinstance(client, RedisCluster):
            return await _clock(client, {}, now)
        await client.initialize()
        return await _clock(client, {"target_nodes": client.get_primaries()[:1]}, now)


async def _ask(
    client: Client, node: str, target: Mapping[str, Any], now: Callable[[], float]
) -> Vitals:
    ahead = await _clock(client, target, now)
    try:
        info: dict[str, Any] = await client.info(**target)
    except NoPermissionError:
        return Vitals(node, ahead)
    failed = "err" in (
        info.get("aof_last_write_status", "ok"),
        info.get("aof_last_bgrewrite_status", "ok"),
        info.get("rdb_last_bgsave_status", "ok"),
    )
    return Vitals(
        node,
        ahead,
        _number(info.get("used_memory")),
        _number(info.get("maxmemory")),
        failed,
        info.get("role"),
        _number(info.get("connected_clients")),
        _number(info.get("maxclients")),
    )


async def _clock(
    client: Client, target: Mapping[str, Any], now: Callable[[], float]
) -> float | None:
    before = now()
    try:
        reply: Any = await client.execute_command("TIME", **target)
    except NoPermissionError:
        return None
    seconds, microseconds = reply
    # The server looked at its clock about half way.
    return int(seconds) + int(microseconds) / 1e6 - (before + now()) / 2


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | str) else None
