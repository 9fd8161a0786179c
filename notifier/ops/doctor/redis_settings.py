"""What a Redis server must be set to so that it keeps what it has accepted: read it, and judge it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ResponseError
from typing_extensions import override

from notifier.broker.client import Client, redis_errors
from notifier.config import RedisSettings

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


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting that loses what Redis has accepted, or may."""

    setting: str
    found: str
    why: str
    fix: str
    node: str = ""
    grave: bool = False
    """It does not work at all; otherwise it works until the wrong moment."""

    @override
    def __str__(self) -> str:
        where = f" on {self.node}" if self.node else ""
        return f"{self.setting} is {self.found}{where}: {self.why}; {self.fix}"


def judge(server: ServerSettings) -> list[Finding]:
    """Return what is wrong with a server's settings, the worst first; nothing where it does not say."""
    findings = []
    if server.refused:
        findings.append(
            Finding(
                "INFO",
                "not allowed to this user",
                "nobody can tell whether Redis keeps what waits",
                "allow it: ACL SETUSER … +info",
                server.node,
            )
        )
    number = _number(server.version)
    if number is not None and number < OLDEST_VERSION:
        oldest = ".".join(str(part) for part in OLDEST_VERSION)
        why = f"notifier needs {oldest} or newer"
        findings.append(
            Finding(
                "version", str(server.version), why, "upgrade Redis", server.node, grave=True
            )
        )
    policy = server.maxmemory_policy
    if policy is not None and policy != "noeviction":
        lost = (
            "the marks that keep a card from coming twice"
            if policy.startswith("volatile")
            else "whole streams of waiting notifications"
        )
        why = f"a full Redis throws away {lost}"
        fix = "set maxmemory-policy noeviction"
        findings.append(Finding("maxmemory-policy", policy, why, fix, server.node))
    if server.appendonly is False:
        why = "a restart of Redis loses what it has accepted since its last snapshot"
        findings.append(Finding("appendonly", "no", why, "set appendonly yes", server.node))
    elif server.appendfsync == "no":
        why = "a machine that loses power loses up to half a minute of events"
        fix = "set appendfsync everysec or always"
        findings.append(Finding("appendfsync", "no", why, fix, server.node))
    return findings


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
