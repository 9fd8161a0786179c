"""Check Redis: settings, memory, disk, clock, and the user's rights."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from notifier.broker.rights import missing_rights
from notifier.broker.server import ServerInfo, read_servers
from notifier.broker.streams import Streams
from notifier.config import Config, mask_url
from notifier.ops.doctor.checks import clock_findings
from notifier.telemetry.findings import Finding, fault, ok, warning

NAME = "redis"
RIGHTS = "redis rights"
OLDEST_VERSION = (6, 2)
"""XAUTOCLAIM, XADD NOMKSTREAM and XTRIM MINID came with it."""
_TIGHT, _NEARLY_FULL = 0.8, 0.95


async def check_redis(streams: Streams, config: Config) -> list[Finding]:
    """Check the server, or every master of a cluster; raises StreamError."""
    servers = await read_servers(streams, ask_config=True, now=time.time)
    found = [finding for server in servers for finding in settings_findings(server)]
    found += [finding for server in servers for finding in load_findings(server)]
    return [_summary(config.redis.url, servers), *found]


def settings_findings(server: ServerInfo) -> list[Finding]:
    """Judge the known settings of a server, the worst first."""
    findings = []
    if server.refused:
        message = (
            "INFO is not allowed to this user: nobody can tell whether Redis keeps what waits"
        )
        findings.append(
            warning(NAME, message, "allow it: ACL SETUSER … +info", where=server.node)
        )
    number = re.match(r"(\d+)\.(\d+)", server.version or "")
    if number is not None and (int(number[1]), int(number[2])) < OLDEST_VERSION:
        oldest = ".".join(str(part) for part in OLDEST_VERSION)
        message = f"version is {server.version}: notifier needs {oldest} or newer"
        findings.append(fault(NAME, message, "upgrade Redis", where=server.node))
    policy = server.maxmemory_policy
    if policy is not None and policy != "noeviction":
        lost = (
            "the marks that prevent duplicate cards"
            if policy.startswith("volatile")
            else "whole streams of waiting notifications"
        )
        message = f"maxmemory-policy is {policy}: a full Redis deletes {lost}"
        findings.append(
            warning(NAME, message, "set maxmemory-policy noeviction", where=server.node)
        )
    if server.appendonly is False:
        message = "appendonly is off: a restart of Redis loses what it has accepted since its last snapshot"
        findings.append(warning(NAME, message, "set appendonly yes", where=server.node))
    elif server.appendfsync == "no":
        message = 'appendfsync is "no": a machine that loses power loses up to half a minute of events'
        findings.append(
            warning(NAME, message, "set appendfsync everysec or always", where=server.node)
        )
    return findings


def load_findings(server: ServerInfo) -> list[Finding]:
    """Judge memory, connections, disk, role and clock of a server."""
    found: list[Finding] = []
    where = f" on {server.node}" if server.node else ""
    if server.used_bytes is not None and server.max_bytes:
        part = server.used_bytes / server.max_bytes
        if part >= _TIGHT:
            what = (
                f"{part:.0%} of maxmemory is used{where}; when it is full, producers get errors"
            )
            fix = "raise maxmemory, and see what waits: notifier top"
            found.append((fault if part >= _NEARLY_FULL else warning)(NAME, what, fix))
    if server.clients and server.max_clients and server.clients >= _TIGHT * server.max_clients:
        what = f"{server.clients} of {server.max_clients} connections are in use{where} (maxclients); when all are, work slows down"
        found.append(
            warning(NAME, what, "raise maxclients, or see who holds them: CLIENT LIST")
        )
    if server.writes_fail:
        what = f"it could not write to its disk the last time{where}"
        found.append(
            fault(NAME, what, "see the log of Redis; make room, or fix its folder's rights")
        )
    if server.role == "slave":
        what = f"this is a replica, which takes no writes{where}"
        found.append(fault(NAME, what, "set redis.url to the master, or to the Sentinels"))
    if server.ahead_seconds is not None:
        found += clock_findings(NAME, f"Redis{where}", server.ahead_seconds)
    return found


async def check_redis_rights(streams: Streams, config: Config) -> list[Finding]:
    """Return the findings about this user's rights; raises StreamError."""
    rights = await missing_rights(streams, config.streams)
    lacking = [*rights.keys, *rights.commands]
    if not lacking:
        return [ok(RIGHTS, "this user may do what the daemon does")]
    what = f"this user lacks {' '.join(lacking)}"
    fix = f"ACL SETUSER <user> {' '.join(lacking)} (the whole line is in docs/how-to/redis.md)"
    return [fault(RIGHTS, what, fix)]


def _summary(url: str, servers: Sequence[ServerInfo]) -> Finding:
    versions = sorted({server.version for server in servers if server.version})
    version = f", version {', '.join(versions)}" if versions else ""
    nodes = f", {len(servers)} masters" if len(servers) > 1 else ""
    used = sum(server.used_bytes or 0 for server in servers)
    limit = sum(server.max_bytes or 0 for server in servers)
    of = f" of {_mib(limit)}" if limit else ""
    memory = f", {_mib(used)}{of} used" if used else ""
    return ok(NAME, f"answers at {mask_url(url)}{version}{nodes}{memory}")


def _mib(size: int) -> str:
    return f"{size / 1_048_576:.0f} MiB"
