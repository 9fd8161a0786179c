"""What a Redis server must be set to so that it keeps what it has accepted: read it, and judge it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ResponseError

from notifier.broker.client import Client, redis_errors
from notifier.config import RedisSettings
from notifier.telemetry.findings import Finding, fault, warning

NAME = "redis"
OLDEST_VERSION = (6, 2)
"""XAUTOCLAIM, XADD NOMKSTREAM and XTRIM MINID came with it."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What one server says of itself; None = it does not say, or not to this user."""

    node: str = ""
    """host:port of a cluster's node; empty where there is one server."""
    version: str | None = None
    maxmemory_policy: str | None = None
    appendonly: bool | None = None
    appendfsync: str | None = None
    refused: bool = False
    """This user may not ask (INFO)."""


def judge(server: ServerSettings) -> list[Finding]:
    """Return what is wrong with a server's settings, the worst first; nothing where it does not say."""
    findings = []
    if server.refused:
        message = (
            "INFO is not allowed to this user: nobody can tell whether Redis keeps what waits"
        )
        findings.append(_doubt(server, message, "allow it: ACL SETUSER … +info"))
    number = _number(server.version)
    if number is not None and number < OLDEST_VERSION:
        oldest = ".".join(str(part) for part in OLDEST_VERSION)
        message = f"version is {server.version}: notifier needs {oldest} or newer"
        findings.append(fault(NAME, message, "upgrade Redis", where=server.node))
    policy = server.maxmemory_policy
    if policy is not None and policy != "noeviction":
        lost = (
            "the marks that keep a card from coming twice"
            if policy.startswith("volatile")
            else "whole streams of waiting notifications"
        )
        message = f"maxmemory-policy is {policy}: a full Redis throws away {lost}"
        findings.append(_doubt(server, message, "set maxmemory-policy noeviction"))
    if server.appendonly is False:
        message = "appendonly is no: a restart of Redis loses what it has accepted since its last snapshot"
        findings.append(_doubt(server, message, "set appendonly yes"))
    elif server.appendfsync == "no":
        message = (
            "appendfsync is no: a machine that loses power loses up to half a minute of events"
        )
        findings.append(_doubt(server, message, "set appendfsync everysec or always"))
    return findings


def _doubt(server: ServerSettings, message: str, fix: str) -> Finding:
    return warning(NAME, message, fix, where=server.node)


async def read_server_settings(
    client: Client, settings: RedisSettings, *, ask_config: bool
) -> list[ServerSettings]:
    """Ask the server, or every master of a cluster.

    Args:
        client: The connection.
        settings: Its settings.
        ask_config: Also ask what INFO does not tell (appendfsync, by CONFIG GET). A user of the least rights may not, and
            the server notes each refusal in its ACL log; a server that does not know the command says nothing.

    Raises:
        StreamError: Redis is away.
    """
    async with redis_errors(client, settings.url):
        if not isinstance(client, RedisCluster):
            return [await _ask(client, "", {}, ask_config=ask_config)]
        await client.initialize()
        nodes: Sequence[ClusterNode] = client.get_primaries()
        return [
            await _ask(client, node.name, {"target_nodes": [node]}, ask_config=ask_config)
            for node in nodes
        ]


async def _ask(
    client: Client, node: str, target: Mapping[str, Any], *, ask_config: bool
) -> ServerSettings:
    try:
        info: dict[str, Any] = await client.info(**target)
    except ResponseError as exc:
        if not _refused(exc):
            raise
        return ServerSettings(node, refused=True)
    enabled = info.get("aof_enabled")
    return ServerSettings(
        node,
        _text(info.get("redis_version")),
        _text(info.get("maxmemory_policy")),
        None if enabled is None else bool(int(enabled)),
        await _appendfsync(client, target) if ask_config else None,
    )


async def _appendfsync(client: Client, target: Mapping[str, Any]) -> str | None:
    try:
        reply: Any = await client.execute_command("CONFIG GET", "appendfsync", **target)
    except ResponseError:
        # Managed services hide CONFIG, and users of the least rights may not ask.
        return None
    pairs = (
        reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    )
    return next((_text(value) for value in pairs.values()), None)


def _refused(exc: ResponseError) -> bool:
    return "no permission" in str(exc).lower() or "noperm" in str(exc).lower()


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def _number(version: str | None) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2])) if match else None
