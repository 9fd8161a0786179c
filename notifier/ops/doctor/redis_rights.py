"""Whether this Redis user may do what the daemon does."""

from __future__ import annotations

from notifier.broker.client import Client
from notifier.config import Config
from notifier.ops.doctor.redis_acl import Rights, missing_rights
from notifier.telemetry.findings import Finding, fault, ok

NAME = "redis rights"


async def check_redis_rights(client: Client, config: Config) -> list[Finding]:
    """Return the findings; raises StreamError."""
    return rights_findings(await missing_rights(client, config.redis, config.streams))


def rights_findings(rights: Rights) -> list[Finding]:
    """Judge what is lacking."""
    lacking = [*rights.keys, *rights.commands]
    if not lacking:
        return [ok(NAME, "this user may do what the daemon does")]
    what = f"this user lacks {' '.join(lacking)}"
    fix = f"ACL SETUSER <user> {' '.join(lacking)} (the whole line is in docs/how-to/redis.md)"
    return [fault(NAME, what, fix)]
