"""Rate limit and pauses of a channel hold in every process."""

from __future__ import annotations

from redis.asyncio import Redis

from notifier.broker.rate_limit import RateLimits
from tests.support.reading import Joined


async def test_rate_limit_is_shared_by_all_processes(join: Joined):
    one, two = RateLimits(await join("one")), RateLimits(await join("two"))

    async def reserve(limits: RateLimits, count: int) -> list[float]:
        return await limits.reserve(
            "sre", count, seconds_each=10_000, burst=4, distance_seconds=0
        )

    waits = [
        *await reserve(one, 2),
        *await reserve(two, 2),
        *await reserve(one, 1),
        *await reserve(two, 1),
    ]

    assert waits[:4] == [0, 0, 0, 0]
    assert 9_900 < waits[4] <= 10_000
    assert 19_900 < waits[5] <= 20_000


async def test_requests_in_a_burst_keep_their_distance(join: Joined):
    limits = RateLimits(await join("one"))

    waits = await limits.reserve("sre", 3, seconds_each=1, burst=10, distance_seconds=5_000)

    assert waits[0] == 0
    assert waits[1:] == [5_000, 10_000]


async def test_rate_limit_does_not_wait_for_a_clock_that_went_back(client: Redis, join: Joined):
    limits = RateLimits(await join("one"))

    async def reserve() -> float:
        [wait] = await limits.reserve("sre", 1, seconds_each=1000, burst=1, distance_seconds=1)
        return wait

    assert await reserve() == 0
    ahead_ms = 360_000_000
    for name, value in (await client.hgetall("teams:rate:sre")).items():
        await client.hset("teams:rate:sre", name, str(float(value) + ahead_ms))

    assert 900 < await limits.spent("sre") <= 1000
    assert 900 < await reserve() <= 1000
    assert 1900 < await reserve() <= 2000


async def test_pause_is_seen_by_every_process_and_a_shorter_one_does_not_end_it(join: Joined):
    one, two = RateLimits(await join("one")), RateLimits(await join("two"))

    await one.pause("sre", 10_000)
    await two.pause("sre", 5)

    paused, free = await two.pauses(["sre", "pmo"])
    assert 9_900 < paused <= 10_000
    assert free == 0
