"""A stream with a backlog, and the lanes that it goes to."""

from __future__ import annotations

from collections.abc import Mapping

import redis.asyncio

from notifier.broker.keys import Keys
from notifier.events.notification import decode
from notifier.pipeline.intake import Intake

STREAM = "teams:events"
KEYS = Keys(STREAM)
URGENT, NORMAL = KEYS.lane("sre", urgent=True), KEYS.lane("sre", urgent=False)
BATCH = 20
MOST_TURNS = 500
Event = Mapping[str, str]


def calm(number: int) -> Event:
    return {"type": "a.b", "stakeholders": "sre", "id": f"n{number}", "priority": "INFO"}


async def publish(client: redis.asyncio.Redis, events: list[Event]) -> list[str]:
    pipeline = client.pipeline(transaction=False)
    for event in events:
        pipeline.xadd(STREAM, dict(event))
    return [entry_id.decode() for entry_id in await pipeline.execute()]


async def read_all(*intakes: Intake) -> None:
    """Step each until none reads anything; raise AssertionError if never."""
    for _ in range(MOST_TURNS):
        if not any([await intake.step() for intake in intakes]):
            return
    raise AssertionError("the same entries are read again and again")


async def ids(client: redis.asyncio.Redis, lane: str) -> list[str]:
    return [decode(fields[b"notification"]).event_id for _, fields in await client.xrange(lane)]
