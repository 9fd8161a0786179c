"""No receiver or entry affects another channel; a signal always ends it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import redis

from notifier.events.notification import encode
from tests.support.daemons import Daemons
from tests.support.processes import start
from tests.support.readiness import readiness, until_state
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
    assert (await readiness(daemons))["status"] == 200
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_loop_that_ends_is_named_by_readyz_while_what_is_in_flight_is_finished(
    daemons: Daemons, tmp_path: Path
):
    flag = tmp_path / "flag"
    daemons.receiver.answer(202, delay=2)
    process = await daemons.start(
        program="tests.support.failing", FAIL_AS="ends", FAIL_WHEN=str(flag)
    )
    xadd(daemons.redis_url, {"type": "a.b", "id": "e", "stakeholders": "sre"})
    await daemons.receiver.wait_for(1)

    flag.touch()
    state = await until_state(daemons, lambda state: state["status"] == 503)

    assert "leases" in state["parts"]
    assert await process.wait() == 6
    assert "loop_ended" in daemons.log()
    assert dead(daemons.redis_url) == []
    await daemons.start()
    await until(lambda: [row["status"] for row in rows(daemons.database_url)] == ["delivered"])
    assert len(daemons.receiver.requests) == 1


async def test_a_signal_ends_a_process_whose_event_loop_hangs(daemons: Daemons, tmp_path: Path):
    flag = tmp_path / "flag"
    process = await daemons.start(
        program="tests.support.failing",
        FAIL_AS="hangs",
        FAIL_WHEN=str(flag),
        TEAMS_DELIVERY__STOP_TIMEOUT_SECONDS="1",
    )
    flag.touch()
    await until((tmp_path / "flag.seen").exists)
    process.send_signal(signal.SIGTERM)

    assert await process.wait() == 6


async def test_a_log_that_nobody_reads_holds_up_no_card_and_no_end(daemons: Daemons):
    reading, writing = os.pipe()
    env = daemons.environment() | {"TEAMS_ADMIN__BIND": ""}
    count = 150
    try:
        with open(writing, "wb") as log:
            process = start("run", env=env, output=log)
        daemons.processes.append(process)
        for number in range(count):
            xadd(
                daemons.redis_url,
                {"type": "a.b", "id": f"e{number}", "stakeholders": "sre,pmo"},
            )
        await until(lambda: len(rows(daemons.database_url)) == 2 * count)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        os.close(reading)
    assert len(daemons.receiver.requests) == 2 * count
