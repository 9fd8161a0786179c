"""A failing webhook is in log, trace and doctor until it works again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.waiting import until

BREAKER = {
    "TEAMS_BREAKER__FAILURES": "2",
    "TEAMS_BREAKER__OPEN_SECONDS": "0.5",
    "TEAMS_MAX_RETRIES": "0",
}


def lines(daemons: Daemons, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in daemons.log().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def failing(daemons: Daemons) -> list[str]:
    """Return what doctor says of channels that fail."""
    done = notifier("doctor", "--json", **daemons.environment())
    findings = json.loads(done.stdout)["findings"]
    return [
        finding["what"]
        for finding in findings
        if finding["level"] == "fault" and "failing since" in finding["what"]
    ]


def waiting_journey(daemons: Daemons, event_id: str) -> Any:
    traced = notifier("trace", event_id, "--json", **daemons.environment())
    return next(
        (each for each in json.loads(traced.stdout)["journeys"] if each["waiting"]), None
    )


@pytest.mark.parametrize("status", [500, 404])
async def test_a_failing_channel_is_seen_everywhere_until_it_works(
    daemons: Daemons, status: int
):
    daemons.receiver.answer(status, channel="sre")
    await daemons.start(**BREAKER)
    for number in range(4):
        daemons.publish(id=f"e{number}")
    await until(lambda: lines(daemons, "channel_failing"))

    [line] = lines(daemons, "channel_failing")
    assert (line["channel"], line["error"].split()[:2]) == ("sre", ["HTTP", str(status)])
    [what] = failing(daemons)
    assert "sre" in what
    assert f"HTTP {status}" in what
    if status == 500:
        daemons.publish(id="late")
        await until(lambda: waiting_journey(daemons, "late"))
        journey = waiting_journey(daemons, "late")
        assert journey["waiting"]["channel"].startswith("sre failing since")
        assert "next try" in journey["waiting"]["channel"]

    daemons.receiver.recover()
    daemons.publish(id="last")
    await until(lambda: lines(daemons, "channel_recovered"))
    await until(lambda: failing(daemons) == [])


async def test_a_pause_that_the_webhook_asked_for_is_traced(daemons: Daemons):
    daemons.receiver.answer(429, channel="sre", headers={"Retry-After": "60"})
    await daemons.start()
    daemons.publish(id="e0")
    await until(lambda: lines(daemons, "channel_paused"))

    await until(lambda: waiting_journey(daemons, "e0"))
    journey = waiting_journey(daemons, "e0")

    assert "pause" in journey["waiting"]["channel"]
