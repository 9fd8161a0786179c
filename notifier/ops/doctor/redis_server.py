"""Redis: is it there, does it keep what it accepts, has it room, is its clock right?"""

from __future__ import annotations

import time
from collections.abc import Sequence

from notifier.broker.client import Client
from notifier.config import RedisSettings, mask_url
from notifier.ops.doctor.clocks import clock_findings
from notifier.ops.doctor.redis_settings import NAME, ServerSettings, judge, read_server_settings
from notifier.ops.doctor.redis_vitals import Vitals, read_vitals
from notifier.telemetry.findings import Finding, fault, ok, warning

_TIGHT, _NEARLY_FULL = 0.8, 0.95


async def check_redis(client: Client, settings: RedisSettings) -> list[Finding]:
    """Return the findings about the server, or about every master of a cluster; raises StreamError."""
    vitals = await read_vitals(client, settings, now=time.time)
    servers = await read_server_settings(client, settings, ask_config=True)
    found = [
        finding
        for server in servers
        for finding in judge(server)
    ] + [finding for each in vitals for finding in vitals_findings(each)]  # fmt: skip
    return [_summary(settings, servers, vitals), *found]


def vitals_findings(vitals: Vitals) -> list[Finding]:
    """Judge memory, disk and clock of a server."""
    found: list[Finding] = []
    where = _on(vitals.node)
    if vitals.used_bytes is not None and vitals.max_bytes:
        part = vitals.used_bytes / vitals.max_bytes
        if part >= _TIGHT:
            what = (
                f"{part:.0%} of maxmemory is used{where}; when it is full, producers get errors"
            )
            fix = "raise maxmemory, and see what waits: notifier top"
            found.append((fault if part >= _NEARLY_FULL else warning)(NAME, what, fix))
    if vitals.clients and vitals.max_clients and vitals.clients >= _TIGHT * vitals.max_clients:
        what = f"{vitals.clients} of {vitals.max_clients} connections are in use{where} (maxclients); when all are, work slows down"
        found.append(
            warning(NAME, what, "raise maxclients, or see who holds them: CLIENT LIST")
        )
    if vitals.writes_fail:
        what = f"it could not write to its disk the last time{where}"
        found.append(
            fault(NAME, what, "see the log of Redis; make room, or mend its folder's rights")
        )
    if vitals.role == "slave":
        what = f"this is a replica, which takes no writes{where}"
        found.append(fault(NAME, what, "set redis.url to the master, or to the Sentinels"))
    if vitals.ahead_seconds is not None:
        found += clock_findings(NAME, f"Redis{where}", vitals.ahead_seconds)
    return found


def _summary(
    settings: RedisSettings, servers: Sequence[ServerSettings], vitals: Sequence[Vitals]
) -> Finding:
    versions = sorted({server.version for server in servers if server.version})
    version = f", version {', '.join(versions)}" if versions else ""
    nodes = f", {len(servers)} masters" if len(servers) > 1 else ""
    used = sum(each.used_bytes or 0 for each in vitals)
    limit = sum(each.max_bytes or 0 for each in vitals)
    of = f" of {_mib(limit)}" if limit else ""
    memory = f", {_mib(used)}{of} used" if used else ""
    return ok(NAME, f"answers at {mask_url(settings.url)}{version}{nodes}{memory}")


def _mib(size: int) -> str:
    return f"{size / 1_048_576:.0f} MiB"


def _on(node: str) -> str:
    return f" on {node}" if node else ""
