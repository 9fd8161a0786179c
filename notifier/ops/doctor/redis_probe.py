"""Ask a Redis which process it is."""

from __future__ import annotations

import redis


def redis_process_id(url: str, *, timeout_seconds: float = 2.0) -> int | None:
    """Return the process id of the server at `url` (INFO server), None while none answers or it is loading its data."""
    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_seconds) as client:
            client.ping()
            return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None
