"""Bursts that become digests."""

from __future__ import annotations

from tests.support.daemons import Daemons
from tests.support.state import xadd

SETTINGS = {
    "TEAMS_RATE_LIMIT_REQUESTS": "1000",
    "TEAMS_RATE_LIMIT__MIN_INTERVAL_SECONDS": "0.01",
    "TEAMS_RATE_LIMIT__BURST": "100",
    "TEAMS_DELIVERY__DIGEST_THRESHOLD": "5",
    "TEAMS_DELIVERY__DIGEST_SIZE": "10",
}


async def burst(daemons: Daemons, event_type: str, count: int, **fields: str) -> None:
    for number in range(count):
        members = {"type": event_type, "stakeholders": "sre", "id": f"{event_type}-{number}"}
        xadd(daemons.redis_url, {**members, "claim_id": f"CLM-{number}", **fields})
