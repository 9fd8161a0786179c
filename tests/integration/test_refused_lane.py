"""A key that another program uses: its channel waits, others go on."""

from __future__ import annotations

import asyncio
import json

import redis

from notifier.broker.keys import Keys
from tests.support.daemons import Daemons
from tests.support.waiting import until

LANE = Keys("teams:events").lane("sre", urgent=False)


async def test_a_lane_of_another_type_is_named_and_its_event_is_delivered_once_it_is_gone(
    daemons: Daemons,
):
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.set(LANE, "x")
        await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
        for number, channels in enumerate(("pmo", "sre,pmo", "devops")):
            event = {
                "type": "a.b",
                "id": f"e{number}",
                "stakeholders": channels,
                "priority": "LOW",
            }
            daemons.add(event)

        await until(lambda: {row["event_id"] for row in daemons.rows()} == {"e0", "e2"})
        found = await daemons.readiness()
        assert found["status"] == 200
        assert LANE in " ".join(found["warnings"])
        assert client.xpending("teams:events", "notifier")["pending"] == 1

        client.delete(LANE)
        await until(lambda: len(daemons.rows()) == 4)
        assert client.xpending("teams:events", "notifier")["pending"] == 0

    async with asyncio.timeout(60):
        while LANE in json.dumps(await daemons.readiness()):
            await asyncio.sleep(0.05)


async def test_cards_posted_while_outcomes_are_refused_are_recorded_later_and_posted_once(
    daemons: Daemons,
):
    outcomes = Keys("teams:events").outcomes
    with redis.Redis.from_url(daemons.redis_url) as client:
        await daemons.start(TEAMS_REDIS__LEASE_SECONDS="1")
        client.delete(outcomes)
        client.set(outcomes, "x")
        for number in range(3):
            event = {"type": "a.b", "id": f"e{number}", "stakeholders": "sre,pmo"}
            daemons.add(event)
        await until(lambda: len(daemons.receiver.requests) == 6)
        async with asyncio.timeout(60):
            while f"key {outcomes}" not in (await daemons.readiness())["warnings"]:
                await asyncio.sleep(0.05)

        client.delete(outcomes)
        await until(lambda: len(daemons.rows()) == 6)

    await until(lambda: not daemons.left_over())
    assert len(daemons.receiver.requests) == 6
    assert daemons.dead_letters() == []
