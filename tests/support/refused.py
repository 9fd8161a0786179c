"""Notifications that the webhook refuses."""

from __future__ import annotations

from tests.support.daemons import Daemons
from tests.support.state import letters, rows, xadd
from tests.support.waiting import until


async def refused(daemons: Daemons, count: int = 1) -> None:
    """Let notifications end as dead letters: the webhook answers 400."""
    daemons.receiver.answer(400, times=count)
    await daemons.start()
    for number in range(count):
        members = {
            "type": "a.b",
            "stakeholders": "sre",
            "id": f"e{number}",
            "patient_id": "PAT-12345",
        }
        xadd(daemons.redis_url, members)
    await until(lambda: len(letters(daemons)) == count)
    await until(lambda: len(rows(daemons.database_url)) == count)
