"""Find lanes by their keys: those of channels that are in the settings no more are read by nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError

from notifier.config import RedisSettings
from notifier.streams.connection import Client, redis_errors
from notifier.streams.keys import Keys

_KEYS_EACH = 1_000
_ROUNDS = 500
"""Half a million keys are looked through at most, in steps that hold up nobody."""


@dataclass(frozen=True, slots=True)
class FoundLanes:
    """Lanes that are not empty."""

    by_channel: dict[str, int]
    """Notifications in both lanes of a channel."""
    complete: bool
    """Whether all keys of the server were looked at."""


async def find_lanes(client: Client, settings: RedisSettings, stream: str) -> FoundLanes | None:
    """Look through the server's keys for the lanes of an event stream; None when this user may not (SCAN).

    Raises:
        StreamError: Redis is away.
    """
    prefix = Keys(stream).lane("", urgent=True).removesuffix(":urgent")
    found: dict[str, int] = {}
    async with redis_errors(client, settings.url):
        target: dict[str, Any] = {}
        if isinstance(client, RedisCluster):
            await client.initialize()
            target = {"target_nodes": [client.get_node_from_key(prefix)]}
        cursor = 0
        for _ in range(_ROUNDS):
            try:
                reply: Any = await client.execute_command(
                    "SCAN",
                    cursor,
                    "MATCH",
                    f"{_literal(prefix)}*",
                    "COUNT",
                    _KEYS_EACH,
                    **target,
                )
            except NoPermissionError:
                return None
            cursor, keys = int(reply[0]), reply[1]
            for key in keys:
                channel = key.decode().removeprefix(prefix).rpartition(":")[0]
                found[channel] = found.get(channel, 0) + int(await client.xlen(key))
            if not cursor:
                break
    waiting = {channel: count for channel, count in found.items() if count}
    return FoundLanes(waiting, complete=not cursor)


def _literal(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "*?[]\\" else sign for sign in text)
