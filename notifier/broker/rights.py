"""Find the rights that a Redis user of the daemon lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from notifier.broker import keys
from notifier.broker.client import Client
from notifier.broker.keys import ACCEPTED, action_key
from notifier.broker.streams import Streams
from notifier.events.action import REQUESTS

_NOBODY = "never"
_NO_SCRIPT = "0" * 40

COMMANDS: dict[str, tuple[str, ...]] = {
    "ping": ("PING",),
    "time": ("TIME",),
    "info": ("INFO", "server"),
    "eval": ("EVAL", "return 1", "1", "KEY"),
    "evalsha": ("EVALSHA", _NO_SCRIPT, "1", "KEY"),
    "xreadgroup": ("XREADGROUP", "GROUP", _NOBODY, _NOBODY, "COUNT", "1", "STREAMS", "KEY", ">"),
    "xgroup|create": ("XGROUP", "CREATE", "KEY", _NOBODY, "0"),
    "xgroup|delconsumer": ("XGROUP", "DELCONSUMER", "KEY", _NOBODY, _NOBODY),
    "xinfo|groups": ("XINFO", "GROUPS", "KEY"),
    "xinfo|consumers": ("XINFO", "CONSUMERS", "KEY", _NOBODY),
    "xinfo|stream": ("XINFO", "STREAM", "KEY"),
    "xack": ("XACK", "KEY", _NOBODY, "0-1"),
    "xadd": ("XADD", "KEY", "NOMKSTREAM", "*", "x", "1"),
    "xdel": ("XDEL", "KEY", "0-1"),
    "xlen": ("XLEN", "KEY"),
    "xrange": ("XRANGE", "KEY", "-", "+", "COUNT", "1"),
    "xrevrange": ("XREVRANGE", "KEY", "+", "-", "COUNT", "1"),
    "xpending": ("XPENDING", "KEY", _NOBODY),
    "xclaim": ("XCLAIM", "KEY", _NOBODY, _NOBODY, "0", "0-1"),
    "xtrim": ("XTRIM", "KEY", "MINID", "0"),
    "get": ("GET", "KEY"),
    "set": ("SET", "KEY", "1", "XX"),
    "exists": ("EXISTS", "KEY"),
    "pttl": ("PTTL", "KEY"),
    "pexpire": ("PEXPIRE", "KEY", "1"),
    "expire": ("EXPIRE", "KEY", "1"),
    "hget": ("HGET", "KEY", "x"),
    "hgetall": ("HGETALL", "KEY"),
    "hmget": ("HMGET", "KEY", "x"),
    # Without a value for its second field the command is refused, but only after the rights were looked at.
    "hset": ("HSET", "KEY", "x", "1", "y"),
}  # fmt: skip
"""Each command as it changes nothing on a key that does not exist (KEY); by their names in an ACL."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights that the user lacks, as words of ACL SETUSER."""

    commands: tuple[str, ...]
    """Such as +xadd."""
    keys: tuple[str, ...]
    """Such as ~teams:events."""


async def missing_rights(streams: Streams, event_streams: Sequence[str]) -> Rights:
    """Try every needed command and kind of key, without changing anything.

    The server notes each refusal in its ACL log.

    Raises:
        StreamError: Redis is away.
    """
    client = streams.client
    async with streams.errors():
        if isinstance(client, RedisCluster):
            await client.initialize()
        never = keys.Keys(event_streams[0]).never
        # While the key itself is refused, nothing can be said of a command.
        patterns = [
            word
            for word, key in _keys(event_streams, streams.group_name)
            if await _refused(client, key, "XLEN", key)
        ]
        if patterns and await _refused(client, never, "XLEN", never):
            return Rights((), tuple(patterns))
        commands = []
        for name, words in COMMANDS.items():
            filled = [never if word == "KEY" else word for word in words]
            if await _refused(client, never, *filled):
                commands.append(f"+{name}")
    return Rights(tuple(commands), tuple(patterns))


def _keys(streams: Sequence[str], group: str) -> list[tuple[str, str]]:
    """Return every pattern of keys with a key of it."""
    found = []
    for stream in streams:
        found += [(f"~{stream}", stream), (f"~{{{stream}}}:*", keys.Keys(stream).never)]
    return [
        *found,
        ("~teams:rate:*", keys.rate(_NOBODY, group)),
        ("~teams:pause:*", keys.pause(_NOBODY, group)),
        (f"~{REQUESTS}", REQUESTS),
        (f"~{ACCEPTED.rpartition(':')[0]}:*", action_key(_NOBODY)),
    ]


async def _refused(client: Client, key: str, *words: str) -> bool:
    target = (
        {"target_nodes": [client.get_node_from_key(key)]}
        if isinstance(client, RedisCluster)
        else {}
    )
    command: Any = client.execute_command(*words, **target)
    try:
        await command
    except NoPermissionError:
        return True
    except ResponseError:
        # NOGROUP, NOSCRIPT, a missing key, a wrong type: the command itself was allowed.
        return False
    return False
