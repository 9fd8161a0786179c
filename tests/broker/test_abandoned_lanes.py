"""Notifications of a removed channel are drained, unless in flight."""

from __future__ import annotations

from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move, MoveResult
from notifier.dead_letters.abandoned_lanes import lanes_waiting
from tests.support.backlog import KEYS, STREAM

URGENT, NORMAL = (KEYS.lane("night", urgent=urgent) for urgent in (True, False))


def bury(entry_id: str) -> Move:
    return Move(NORMAL, entry_id, ((KEYS.dead, {"event": entry_id}),))


async def test_notification_in_flight_is_not_drained(client: Redis, group: Consumer):
    await group.ensure([NORMAL])
    for number in range(3):
        await client.xadd(NORMAL, {"notification": str(number)})
    held, stale = await group.read([NORMAL], count=2, block_seconds=0.01)
    await group.give_up(NORMAL, [stale.id])
    [*_, (waiting, _)] = await client.xrange(NORMAL)

    results = await group.move(
        NORMAL, [bury(entry_id) for entry_id in (held.id, stale.id, waiting.decode(), "1-1")]
    )

    assert results == [
        MoveResult.IN_FLIGHT,
        MoveResult.MOVED,
        MoveResult.MOVED,
        MoveResult.GONE,
    ]
    assert await client.xlen(NORMAL) == 1
    assert await client.xlen(KEYS.dead) == 2
    assert (await client.xpending(NORMAL, "notifier"))["pending"] == 1


async def test_lane_that_never_had_a_group_is_drained_once(client: Redis, group: Consumer):
    entry_id = (await client.xadd(NORMAL, {"notification": "1"})).decode()

    assert await group.move(NORMAL, [bury(entry_id)]) == [MoveResult.MOVED]
    assert await group.move(NORMAL, [bury(entry_id)]) == [MoveResult.GONE]
    assert await client.xlen(NORMAL) == 0
    assert await client.xlen(KEYS.dead) == 1


async def test_every_channel_that_ever_was_is_known_with_what_waits_for_it(
    client: Redis, group: Consumer
):
    await group.remember_channels(STREAM, ["night", "sre"])
    await group.remember_channels(STREAM, ["sre"])
    for lane in (URGENT, NORMAL, NORMAL):
        await client.xadd(lane, {"notification": "1"})

    assert await lanes_waiting(group, STREAM) == {"night": (1, 2), "sre": (0, 0)}
