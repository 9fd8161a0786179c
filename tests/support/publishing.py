"""Events in numbers: bursts that become digests, and refused ones."""

from __future__ import annotations

from tests.support.daemons import Daemons
from tests.support.waiting import until

DIGESTING = {
    "TEAMS_RATE_LIMIT_REQUESTS": "1000",
    "TEAMS_RATE_LIMIT__MIN_INTERVAL_SECONDS": "0.01",
    "TEAMS_RATE_LIMIT__BURST": "100",
    "TEAMS_DELIVERY__DIGEST_THRESHOLD": "5",
    "TEAMS_DELIVERY__DIGEST_SIZE": "10",
}
"""Settings of a daemon that makes digests of a burst."""


def burst(daemons: Daemons, event_type: str, count: int, **fields: str) -> None:
    for number in range(count):
        members = {"id": f"{event_type}-{number}", "claim_id": f"CLM-{number}"}
        daemons.publish(type=event_type, **members, **fields)


async def refused(daemons: Daemons, count: int = 1) -> None:
    """Let notifications end as dead letters: the webhook answers 400."""
    daemons.receiver.answer(400, times=count)
    await daemons.start()
    for number in range(count):
        daemons.publish(id=f"e{number}", patient_id="PAT-12345")
    await until(lambda: len(daemons.dead_entries()) == count)
    await until(lambda: len(daemons.rows()) == count)
