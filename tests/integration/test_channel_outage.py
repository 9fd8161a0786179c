"""A channel that fails: its backlog, and who reports it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import redis

from notifier.broker.keys import Keys
from notifier.events.entry import Priority
from notifier.events.notification import notification_id
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.receiver import Received
from tests.support.waiting import until

STREAM = "teams:events"
KEYS = Keys(STREAM)
DOWN, UP = "sre", "pmo"
COUNT = 150
PRIORITIES = list(Priority)
BURST, SECONDS_EACH = 5, 0.03
JITTER_SECONDS = 1.0
"""By so much a post may come late on a busy machine, and the next ones after it closer; without the limit all would come in less."""
OPEN_SECONDS = 0.3
SETTINGS = {
    "TEAMS_RATE_LIMIT_REQUESTS": str(round(60 / SECONDS_EACH)),
    "TEAMS_RATE_LIMIT__BURST": str(BURST),
    "TEAMS_RATE_LIMIT__MIN_INTERVAL_SECONDS": "0",
    "TEAMS_MAX_RETRIES": "1",
    "TEAMS_MAX_RETRY_DELAY": "0.2",
    "TEAMS_BREAKER__FAILURES": "3",
    "TEAMS_BREAKER__OPEN_SECONDS": str(OPEN_SECONDS),
    # One post after the other, so that their order is the lane's.
    "TEAMS_DELIVERY__IN_FLIGHT": "1",
}


def priority_of(number: int) -> Priority:
    return PRIORITIES[number % len(PRIORITIES)]


def publish(daemons: Daemons) -> None:
    """Publish events of every urgency for the failing and the working channel."""
    with redis.Redis.from_url(daemons.redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(COUNT):
            event = {"type": "a.b", "id": f"e{number}", "stakeholders": f"{DOWN},{UP}"}
            pipeline.xadd(STREAM, {**event, "priority": priority_of(number).value})
        pipeline.execute()


def numbers(channel: str) -> dict[str, int]:
    return {notification_id(STREAM, f"e{number}", channel): number for number in range(COUNT)}


def posts(daemons: Daemons, channel: str, status: int) -> list[Received]:
    return [
        request
        for request in daemons.receiver.requests
        if request.path == f"/{channel}" and request.status == status
    ]


def ids(requests: list[Received]) -> list[str]:
    return [request.headers["webhook-id"] for request in requests]


async def outage(daemons: Daemons, **env: str) -> None:
    """Publish while one channel is down; wait until the other has had all."""
    daemons.receiver.answer(503, channel=DOWN)
    await daemons.start(**SETTINGS | env)
    publish(daemons)
    await until(lambda: done(daemons, UP) == COUNT, 90)
    await until(lambda: waiting(daemons) > COUNT - 10)


def done(daemons: Daemons, channel: str) -> int:
    return sum(row["channel"] == channel for row in daemons.rows())


def waiting(daemons: Daemons) -> int:
    with redis.Redis.from_url(daemons.redis_url) as client:
        return sum(int(client.xlen(KEYS.lane(DOWN, urgent=urgent))) for urgent in (True, False))


async def over(daemons: Daemons) -> None:
    daemons.receiver.recover()
    await until(lambda: len(daemons.rows()) == 2 * COUNT, 90)
    await until(lambda: not daemons.left_over())


async def test_backlog_of_a_channel_drains_urgent_first_in_order_at_the_rate_limit(
    daemons: Daemons,
):
    await outage(daemons, TEAMS_DELIVERY__DIGEST_THRESHOLD="0")
    before = {row["event_id"] for row in daemons.rows() if row["channel"] == UP}
    failed = posts(daemons, DOWN, 503)
    tried = set(ids(failed))
    assert posts(daemons, DOWN, 202) == []
    # The breaker has let only probes through, whatever came.
    lasted = failed[-1].arrival - failed[0].arrival
    assert len(failed) <= 4 + lasted / OPEN_SECONDS

    await over(daemons)

    assert before
    came = posts(daemons, DOWN, 202)
    lost = {letter["event_id"] for letter in daemons.dead_letters()}
    assert len(lost) <= len(tried)
    assert len(set(ids(came))) == len(came) == COUNT - len(lost)
    number = numbers(DOWN)
    fresh = [number[each] for each in ids(came) if each not in tried]
    urgent = [each for each in fresh if priority_of(each).urgent]
    assert fresh == sorted(urgent) + sorted(set(fresh) - set(urgent))
    assert len(urgent) > COUNT / 4
    arrivals = [request.arrival for request in came]
    for first in range(len(arrivals)):
        for further in range(BURST + 1, len(arrivals) - first):
            took = arrivals[first + further] - arrivals[first]
            assert took >= (further - BURST) * SECONDS_EACH - JITTER_SECONDS, (first, further)


async def test_backlog_of_a_channel_is_gathered_into_digests_once_its_urgent_ones_are_out(
    daemons: Daemons,
):
    await outage(
        daemons, TEAMS_DELIVERY__DIGEST_THRESHOLD="10", TEAMS_DELIVERY__DIGEST_SIZE="10"
    )
    tried = set(ids(posts(daemons, DOWN, 503)))

    await over(daemons)

    found = [row for row in daemons.rows() if row["channel"] == DOWN]
    assert Counter(row["event_id"] for row in found) == Counter(
        f"e{number}" for number in range(COUNT)
    )
    digests = Counter(str(row["digest_id"]) for row in found if row["digest_id"])
    assert digests
    assert all(2 <= size <= 10 for size in digests.values())
    gathered = [row for row in found if row["digest_id"]]
    assert not any(Priority(row["priority"]).urgent for row in gathered)
    assert len(gathered) > COUNT / 4
    for request in posts(daemons, DOWN, 202):
        if size := digests[request.headers["webhook-id"]]:
            assert f"📚 {size} × " in json.dumps(json.loads(request.body), ensure_ascii=False)
    came = [each for each in ids(posts(daemons, DOWN, 202)) if each not in tried]
    number = numbers(DOWN)
    urgent = [
        place
        for place, each in enumerate(came)
        if each in number and priority_of(number[each]).urgent
    ]
    assert max(urgent) < min(came.index(digest) for digest in set(digests) & set(came))


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
