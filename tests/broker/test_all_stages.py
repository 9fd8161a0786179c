"""An event becomes a card and a record, in one process that a test steps."""

from __future__ import annotations

import json
from collections.abc import Sequence

from redis.asyncio import Redis

from tests.support.backlog import KEYS, STREAM, calm, publish
from tests.support.broker import Broker
from tests.support.receiver import WebhookReceiver
from tests.support.stages import Stages


class Records:
    """Postgres: keeps the id and the status of each outcome."""

    def __init__(self) -> None:
        self.statuses: list[tuple[str, str]] = []

    async def record(self, outcomes: Sequence[bytes], **_: object) -> None:
        parsed = [json.loads(outcome) for outcome in outcomes]
        self.statuses += [(each["event_id"], each["status"]) for each in parsed]


async def test_events_become_cards_and_records_and_nothing_is_left_behind(
    client: Redis,
    broker: Broker,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
):
    webhook_receiver.answer(400, times=1)
    group, records = broker.group("one"), Records()
    await group.ensure([STREAM, KEYS.outcomes])
    await publish(client, [calm(number) for number in range(3)])

    await stages.intake(group).step()
    async with stages.lane(webhook_receiver.url("sre"), group=group, in_flight=1) as lane:
        await lane.step()
    await stages.recorder(records, group).step()

    assert records.statuses == [
        ("n0", "dead_lettered"), ("n1", "delivered"), ("n2", "delivered"),
    ]  # fmt: skip
    assert len(webhook_receiver.requests) == 3
    left = {key.decode() async for key in client.scan_iter("*", _type="stream")}
    assert {key for key in left if await client.xlen(key)} == {STREAM, KEYS.dead}
    assert (await client.xpending(STREAM, "notifier"))["pending"] == 0
