"""The console of a daemon with something to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.daemons import Daemons
from tests.support.waiting import until


@dataclass
class Console:
    """The console of a daemon with something to show."""

    url: str
    daemons: Daemons

    @property
    def dead_letter_address(self) -> str:
        """The page of the newest dead letter."""
        return f"{self.url}/dead-letters/letter?id={self.daemons.dead_entries()[-1][0]}&stream=teams:events"


async def delivered(console: Console, **fields: str) -> list[dict[str, Any]]:
    """Publish an event and return its rows once they are recorded."""
    before = len(console.daemons.rows())
    count = len(fields.get("stakeholders", "a,b,c").split(","))
    console.daemons.add(fields)
    await until(lambda: len(console.daemons.rows()) == before + count)
    return console.daemons.rows()


async def refused(console: Console, count: int = 1, **fields: str) -> None:
    """Let notifications end as dead letters: the workflow answers 400."""
    before = len(console.daemons.dead_entries())
    console.daemons.receiver.answer(400, times=count)
    for _ in range(count):
        console.daemons.add({"type": "backup.failed", "stakeholders": "sre", "service": "db", "patient_id": "PAT-12345"} | fields)  # fmt: skip
    await until(lambda: len(console.daemons.dead_entries()) == before + count)
    await until(lambda: len([r for r in console.daemons.rows() if r["status"] == "dead_lettered"]) >= before + count)  # fmt: skip
