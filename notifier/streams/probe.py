"""Ask a Redis whether it is there."""

from __future__ import annotations

import redis


def answers_ping(url: str, *, timeout_seconds: float = 2.0) -> bool:
    """Tell whether the server at `url` answers PING (it may still be loading its data)."""
    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_seconds) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
