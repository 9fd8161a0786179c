"""What one receiver or one entry does is felt by no other channel of a real daemon, and a signal ends it all the same."""

from __future__ import annotations

import json
import signal

import aiohttp
import redis

from notifier.notifications import encode
from tests.support.daemons import Daemons
from tests.support.stages import ONE
from tests.support.state import KEYS, dead, rows, xadd
from tests.support.waiting import until

WRONG_TYPES = [
    {"data": ["a"]}, {"stakeholders": "sre"}, {"correlation_id": 7}, {"event_time": None}, {"tried_before": 10**400},
    {"endings": [1]}, {"priority": ["LOW"]}, {"lang": {}}, {"card": 1},
]  # fmt: skip


async def test_neither_an_impossible_wait_nor_impossible_entries_reach_another_channel(
    daemons: Daemons,
):
    daemons.receiver.answer(
        429,
        headers={"Retry-After": "Thu, 13 Aug 99999999999 15:37:13 GMT"},
        channel="devops",
    )
    process = await daemons.start(TEAMS_MAX_RETRIES="1", TEAMS_MAX_RETRY_DELAY="0.1")
    with redis.Redis.from_url(daemons.redis_url) as client:
        for changes in WRONG_TYPES:
            text = json.dumps(json.loads(encode(ONE)) | changes)
            client.xadd(KEYS.lane("sre", urgent=True), {"notification": text})
    for number in range(4):
        xadd(
            daemons.redis_url,
            {"type": "a.b", "id": f"e{number}", "stakeholders": "devops,sre,pmo"},
        )

    def channels_of(status: str) -> list[str]:
        found = rows(daemons.database_url)
        return sorted({row["channel"] for row in found if row["status"] == status})

    await until(lambda: len(rows(daemons.database_url)) == 12)
    assert channels_of("delivered") == ["pmo", "sre"]
    assert channels_of("dead_lettered") == ["devops"]
    await until(lambda: len(dead(daemons.redis_url)) == 4 + len(WRONG_TYPES))
    assert {letter["reason"] for letter in dead(daemons.redis_url)} == {
        "retries_exhausted",
        "invalid_event",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{daemons.admin_urls[0]}/readyz") as answer,
    ):
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
