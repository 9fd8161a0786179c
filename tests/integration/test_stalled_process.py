"""A process that paused longer than its leases repeats no claimed work."""

from __future__ import annotations

import signal
from collections import Counter

from tests.support.daemons import Daemons
from tests.support.waiting import until

EVENTS = 8
LEASE = {"TEAMS_REDIS__LEASE_SECONDS": "1", "TEAMS_DELIVERY__IN_FLIGHT": "1"}


async def test_process_that_stood_still_repeats_only_the_post_that_was_in_flight(
    daemons: Daemons,
):
    daemons.receiver.answer(202, delay=0.5, times=1)
    stalled = await daemons.start(**LEASE)
    for number in range(EVENTS):
        daemons.publish(id=f"e{number}")
    await daemons.receiver.wait_for(1)
    stalled.send_signal(signal.SIGSTOP)

    other = await daemons.start(**LEASE)
    await until(lambda: len(daemons.rows()) == EVENTS, 60)
    other.terminate()
    assert await other.wait() == 0
    stalled.send_signal(signal.SIGCONT)
    # Its entries in flight come before new ones.
    daemons.publish(id="last")
    await until(lambda: len(daemons.rows()) == EVENTS + 1, 60)
    await until(lambda: not daemons.left_over())

    posts = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert len(posts) == EVENTS + 1
    assert posts.total() - len(posts) <= 1


async def test_process_that_stood_still_between_two_attempts_leaves_the_next_to_who_took_over(
    daemons: Daemons,
):
    daemons.receiver.answer(503, headers={"Retry-After": "3"}, times=1)
    stalled = await daemons.start(**LEASE)
    daemons.publish(id="e0")
    await daemons.receiver.wait_for(1)
    stalled.send_signal(signal.SIGSTOP)

    other = await daemons.start(**LEASE)
    await until(lambda: len(daemons.rows()) == 1, 60)
    other.terminate()
    assert await other.wait() == 0
    stalled.send_signal(signal.SIGCONT)
    # With one slot, this comes only after what was being retried.
    daemons.publish(id="last")
    await until(lambda: len(daemons.rows()) == 2, 60)

    assert len(daemons.receiver.requests) == 3
