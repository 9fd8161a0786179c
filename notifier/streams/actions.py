"""Requests from people to the claims workers: entries on the stream teams:actions."""

from __future__ import annotations

from collections.abc import Mapping

from redis.exceptions import RedisClusterException, RedisError

from notifier.errors import StreamError
from notifier.streams.connection import Client

ACTIONS_STREAM = "teams:actions"

_KEPT = 100_000


async def publish_action(client: Client, fields: Mapping[str, str]) -> None:
    """Add one request; the stream keeps about the last 100,000. Raises StreamError."""
    try:
        await client.xadd(ACTIONS_STREAM, dict(fields), maxlen=_KEPT, approximate=True)  # type: ignore[arg-type]
    except (RedisError, RedisClusterException, OSError) as exc:
        raise StreamError(f"Redis failed: {type(exc).__name__}; try again") from exc
