"""A Redis server's own words: version, settings, memory, disk, clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from notifier.broker.client import Client
from notifier.broker.errors import error_code
from notifier.broker.streams import Streams

Clock = Callable[[], float]
"""Gives Unix seconds."""
_Target = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """One server at one moment; None = it does not say, or not to this user."""

    node: str = ""
    """host:port of a cluster's node; empty where there is one server."""
    ahead_seconds: float | None = field(default=None, compare=False)
    """How far its clock is ahead of ours."""
    refused: bool = False
    """This user may not ask (INFO)."""
    version: str | None = None
    role: str | None = None
    maxmemory_policy: str | None = None
    appendonly: bool | None = None
    appendfsync: str | None = None
    used_bytes: int | None = field(default=None, compare=False)
    max_bytes: int | None = None
    """Its maxmemory; 0 = none."""
    writes_fail: bool = False
    """It could not write its append-only file or its last snapshot."""
    clients: int | None = field(default=None, compare=False)
    max_clients: int | None = None


async def read_servers(streams: Streams, *, ask_config: bool, now: Clock) -> list[ServerInfo]:
    """Ask the server, or every master of a cluster.

    Args:
        streams: The connection.
        ask_config: Ask also for appendfsync (CONFIG GET), which INFO does not give. A user of the least rights may not, and
            the server notes each refusal in its ACL log.
        now: Our clock.

    Raises:
        StreamError: Redis is away.
    """
    async with streams.errors():
        return [
            await _read(streams.client, node, target, now, ask_config=ask_config)
            for node, target in await _masters(streams.client)
        ]


async def clock_ahead(streams: Streams, *, now: Clock) -> float | None:
    """Return how far the clock of the first master is ahead of ours, in s.

    None if this user may not ask.

    Raises:
        StreamError: Redis is away.
    """
    async with streams.errors():
        [(_, target), *_] = await _masters(streams.client)
        return await _clock(streams.client, target, now)


def redis_process_id(url: str, *, timeout_seconds: float = 2.0) -> int | None:
    """Return the process id of the server at `url`, None if none answers."""
    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_seconds) as client:
            client.ping()
            return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None


async def _masters(client: Client) -> list[tuple[str, _Target]]:
    """Return the name of every master, and how a command is sent to it."""
    if not isinstance(client, RedisCluster):
        return [("", {})]
    await client.initialize()
    return [(node.name, {"target_nodes": [node]}) for node in client.get_primaries()]


async def _read(
    client: Client, node: str, target: _Target, now: Clock, *, ask_config: bool
) -> ServerInfo:
    ahead = await _clock(client, target, now)
    try:
        info: dict[str, Any] = await client.info(**target)
    except ResponseError as exc:
        if error_code(exc) != "NOPERM":
            raise
        return ServerInfo(node, ahead, refused=True)
    appendonly = info.get("aof_enabled")
    statuses = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
    return ServerInfo(
        node,
        ahead,
        version=info.get("redis_version"),
        role=info.get("role"),
        maxmemory_policy=info.get("maxmemory_policy"),
        appendonly=None if appendonly is None else bool(appendonly),
        appendfsync=await _appendfsync(client, target) if ask_config else None,
        used_bytes=info.get("used_memory"),
        max_bytes=info.get("maxmemory"),
        writes_fail="err" in [info.get(name) for name in statuses],
        clients=info.get("connected_clients"),
        max_clients=info.get("maxclients"),
    )


async def _appendfsync(client: Client, target: _Target) -> str | None:
    try:
        reply: Any = await client.execute_command("CONFIG GET", "appendfsync", **target)
    except ResponseError:
        # Managed services hide CONFIG, and users of the least rights may not ask.
        return None
    values = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
    value: bytes | str | None = values[0] if values else None
    return value.decode() if isinstance(value, bytes) else value


async def _clock(client: Client, target: _Target, now: Clock) -> float | None:
    before = now()
    try:
        reply: Any = await client.execute_command("TIME", **target)
    except NoPermissionError:
        return None
    seconds, microseconds = reply
    # The server looked at its clock about half way.
    return int(seconds) + int(microseconds) / 1e6 - (before + now()) / 2
