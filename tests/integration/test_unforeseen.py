"""No receiver or entry affects another channel; a signal always ends it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.daemons import Daemons
from tests.support.processes import start
from tests.support.waiting import until


async def test_a_loop_that_ends_is_named_by_readyz_while_what_is_in_flight_is_finished(
    daemons: Daemons, tmp_path: Path
):
    flag = tmp_path / "flag"
    daemons.receiver.answer(202, delay=2)
    process = await daemons.start(
        program="tests.support.failing", FAIL_AS="ends", FAIL_WHEN=str(flag)
    )
    daemons.publish(id="e")
    await daemons.receiver.wait_for(1)

    flag.touch()
    state = await daemons.until_state(lambda state: state["status"] == 503)

    assert "leases" in state["parts"]
    assert await process.wait() == 6
    assert "loop_ended" in daemons.log()
    assert daemons.dead_letters() == []
    await daemons.start()
    await until(lambda: [row["status"] for row in daemons.rows()] == ["delivered"])
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
            daemons.publish(id=f"e{number}", stakeholders="sre,pmo")
        await until(lambda: len(daemons.rows()) == 2 * count)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        os.close(reading)
    assert len(daemons.receiver.requests) == 2 * count
