"""A key that Redis refuses delays no other, and works once it is fixed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move, MoveResult
from notifier.broker.rate_limit import RateLimits
from notifier.errors import StreamError
from notifier.pipeline.delivery import hop_batcher as hopping
from notifier.pipeline.delivery.hop_batcher import HopBatcher
from tests.support.backlog import (
    BATCH,
    KEYS,
    NORMAL,
    STREAM,
    calm,
    ids,
    publish,
    read_all,
)
from tests.support.reading import SOURCE, TARGET, Joined, read_new
from tests.support.stages import Stages

OTHER = "{s}:dead"
Step = Callable[[Consumer], Awaitable[None]]
LAST = "18446744073709551615-18446744073709551615"


async def wrong_type(client: Redis, key: str) -> None:
    await client.hset(key, "a", "1")  # type: ignore[misc]


async def used_up(client: Redis, key: str) -> None:
    await client.xadd(key, {"a": "1"}, id=LAST)
    await client.xdel(key, LAST)


def move(entry_id: str, *keys: str, **more: object) -> Move:
    targets = tuple((key, {"of": entry_id}) for key in keys)
    return Move(SOURCE, entry_id, targets)._replace(**more)


async def pending(client: Redis, stream: str) -> int:
    return int((await client.xpending(stream, "notifier"))["pending"])


@pytest.mark.parametrize("spoil", [wrong_type, used_up])
async def test_only_the_move_to_a_key_that_is_refused_waits_and_it_is_whole_later(
    client: Redis, one: Consumer, spoil
):
    heard: list[tuple[str, bool]] = []
    one.refused_keys.listener = lambda key, why: heard.append((key, why is not None))
    first, second, third = await read_new(client, one, 3)
    await spoil(client, OTHER)
    moves = [
        move(first, TARGET, mark="{s}:seen:1", mark_seconds=60),
        move(second, TARGET, OTHER, mark="{s}:seen:2", mark_seconds=60),
        move(third, TARGET, mark="{s}:seen:3", mark_seconds=60),
    ]

    results = await one.hop(moves)

    assert results == [HopResult.MOVED, HopResult.REFUSED, HopResult.MOVED]
    assert [each[1][b"of"].decode() for each in await client.xrange(TARGET)] == [first, third]
    assert await client.exists("{s}:seen:2") == 0
    assert [each[0].decode() for each in await client.xrange(SOURCE)] == [second]
    assert await pending(client, SOURCE) == 1

    await client.delete(OTHER)
    assert await one.hop([moves[1]]) == [HopResult.MOVED]
    assert await client.xlen(TARGET) == 3
    assert await client.xlen(OTHER) == 1
    assert await client.exists("{s}:seen:2") == 1
    assert await client.xlen(SOURCE) == 0
    assert heard == [(OTHER, True), (OTHER, False)]


async def test_a_time_to_live_that_redis_cannot_count_moves_nothing(
    client: Redis, join: Joined
):
    group = await join("one")
    entry_ids = await read_new(client, group, 1)
    moves = [
        move(entry_ids[0], TARGET, mark="{s}:seen:PAT-1", mark_seconds=2**62, delete=False)
    ]
    heard: list[str] = []
    group.refused_keys.listener = lambda key, why: heard.append(f"{key} {why}")

    assert await group.hop(moves) == [HopResult.REFUSED]

    assert await client.exists(TARGET, "{s}:seen:PAT-1") == 0
    assert await pending(client, SOURCE) == 1
    assert "PAT-1" not in "".join(heard)


async def test_what_another_process_has_moved_leaves_neither_mark_nor_targets(
    client: Redis, one: Consumer
):
    [entry_id] = await read_new(client, one, 1)
    await client.xack(SOURCE, "notifier", entry_id)
    moves = [move(entry_id, TARGET, OTHER, mark="{s}:seen:1", mark_seconds=60, delete=False)]

    assert await one.hop(moves) == [HopResult.LOST]

    assert await client.exists("{s}:seen:1") == 0
    assert await client.xlen(TARGET) == await client.xlen(OTHER) == 0


async def test_a_mark_that_was_there_before_stays_when_its_event_is_moved_elsewhere(
    client: Redis, one: Consumer
):
    [entry_id] = await read_new(client, one, 1)
    await client.xack(SOURCE, "notifier", entry_id)
    await client.set("{s}:seen:1", "1-1", ex=60)

    [result] = await one.hop(
        [move(entry_id, TARGET, mark="{s}:seen:1", mark_seconds=60, delete=False)]
    )

    assert result is HopResult.LOST
    assert await client.get("{s}:seen:1") == b"1-1"


async def test_a_source_of_another_type_is_refused_and_the_others_move(
    client: Redis, one: Consumer
):
    [entry_id] = await read_new(client, one, 1)
    await wrong_type(client, OTHER)

    results = await one.hop(
        [Move(OTHER, "1-1", ((TARGET, {"a": "1"}),)), move(entry_id, TARGET)]
    )

    assert results == [HopResult.REFUSED, HopResult.MOVED]
    assert await client.xlen(TARGET) == 1


async def test_a_dead_letter_stays_when_a_key_that_it_goes_to_is_refused(
    client: Redis, one: Consumer
):
    letter = (await client.xadd(OTHER, {"a": "1"})).decode()
    await wrong_type(client, "{s}:lane")

    move = Move(OTHER, letter, ((TARGET, {"b": "2"}), ("{s}:lane", {"b": "2"})))

    with pytest.raises(StreamError, match=r"\{s\}:lane"):
        await one.move(OTHER, [move])

    assert await client.xlen(OTHER) == 1
    assert await client.xlen(TARGET) == 0


async def test_a_drained_notification_stays_in_its_lane_when_dead_letters_are_refused(
    client: Redis, group: Consumer
):
    entry_id = (await client.xadd(NORMAL, {"notification": "1"})).decode()
    moves = [Move(NORMAL, entry_id, ((KEYS.outcomes, {"a": "1"}), (KEYS.dead, {"a": "1"})))]
    await wrong_type(client, KEYS.dead)

    with pytest.raises(StreamError, match=KEYS.dead):
        await group.move(NORMAL, moves)

    assert await client.xlen(NORMAL) == 1
    assert await client.xlen(KEYS.outcomes) == 0
    await client.delete(KEYS.dead)
    assert await group.move(NORMAL, moves) == [MoveResult.MOVED]


async def test_events_for_a_refused_lane_wait_in_their_stream_while_others_go_on(
    client: Redis, group: Consumer, stages: Stages
):
    await group.ensure([STREAM])
    lane = KEYS.lane("devops", urgent=False)
    await wrong_type(client, lane)
    await publish(client, [calm(1), {**calm(2), "stakeholders": "sre,devops"}, calm(3)])
    intake = stages.intake(group)

    await read_all(intake)

    assert await ids(client, NORMAL) == ["n1", "n3"]
    # Claimed as often as it may be, and more: it never becomes a dead letter for that.
    for _ in range(stages.config.redis.max_deliveries + 2):
        [waiting] = await client.xpending_range(STREAM, "notifier", "-", "+", 10)
        await client.xclaim(
            STREAM, "notifier", "gone", 0, [waiting["message_id"]], idle=10**9, retrycount=waiting["times_delivered"],
        )  # fmt: skip
        await read_all(stages.intake(group))
    assert await client.exists(KEYS.dead) == 0

    await client.delete(lane)
    await client.xclaim(STREAM, "notifier", "gone", 0, [waiting["message_id"]], idle=10**9)
    await read_all(stages.intake(group))
    assert await ids(client, lane) == ["n2"]
    assert await ids(client, NORMAL) == ["n1", "n3", "n2"]
    assert await pending(client, STREAM) == 0


async def test_new_events_are_read_however_many_are_refused_again_and_again(
    client: Redis, group: Consumer, stages: Stages
):
    await group.ensure([STREAM])
    await wrong_type(client, KEYS.lane("devops", urgent=False))
    await publish(
        client, [{**calm(each), "stakeholders": "devops"} for each in range(3 * BATCH)]
    )
    await read_all(stages.intake(group))
    for each in await client.xpending_range(STREAM, "notifier", "-", "+", 3 * BATCH):
        await client.xclaim(
            STREAM, "notifier", "gone", 0, [each["message_id"]], idle=10**9, justid=True
        )
    await publish(client, [calm(100)])
    intake = stages.intake(group)

    await intake.step()
    await intake.step()

    assert await ids(client, NORMAL) == ["n100"]


async def test_a_delivery_whose_hop_is_refused_waits_alone(
    client: Redis, one: Consumer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hopping, "LONGEST_WAIT_SECONDS", 0.01)
    first, second = await read_new(client, one, 2)
    await wrong_type(client, OTHER)
    hop_batcher = HopBatcher(one)
    running = asyncio.create_task(hop_batcher.run())
    reported: list[list[HopResult]] = []
    refused = asyncio.create_task(hop_batcher.hop([move(first, OTHER)], reported.append))

    await hop_batcher.hop([move(second, TARGET)])

    assert not refused.done()
    await client.delete(OTHER)
    await refused
    running.cancel()
    assert reported == [[HopResult.MOVED]]
    assert await client.xlen(OTHER) == await client.xlen(TARGET) == 1


async def test_a_read_that_waits_goes_on_after_an_entry_was_added_and_taken_back(
    client: Redis, one: Consumer
):
    await one.ensure([TARGET])
    [entry_id] = await read_new(client, one, 1)
    await client.xack(SOURCE, "notifier", entry_id)
    await one.read([TARGET], count=1, block_seconds=0.01)
    reading = asyncio.create_task(one.read([TARGET], count=1, block_seconds=5))
    await asyncio.sleep(0)

    assert await one.hop([move(entry_id, TARGET)]) == [HopResult.LOST]
    await client.xadd(TARGET, {"b": "2"})

    found = await reading or await one.read([TARGET], count=1, block_seconds=5)
    assert [entry.fields for entry in found] == [{b"b": b"2"}]


async def test_a_mark_that_another_program_keeps_drops_no_event(client: Redis, one: Consumer):
    [entry_id] = await read_new(client, one, 1)
    await wrong_type(client, "{s}:seen:1")
    moves = [move(entry_id, TARGET, mark="{s}:seen:1", mark_seconds=60, delete=False)]

    assert await one.hop(moves) == [HopResult.REFUSED]

    assert await pending(client, SOURCE) == 1
    assert await client.hget("{s}:seen:1", "a") == b"1"  # type: ignore[misc]
    await client.delete("{s}:seen:1")
    assert await one.hop(moves) == [HopResult.MOVED]


async def make_group(group: Consumer) -> None:
    await group.ensure([SOURCE])


async def reserve(group: Consumer) -> None:
    await RateLimits(group).reserve("sre", 1, seconds_each=1, burst=1, distance_seconds=0)


@pytest.mark.parametrize(
    ("key", "step"),
    [
        (SOURCE, make_group),
        (f"{SOURCE}:floor:notifier", make_group),
        ("teams:rate:sre", reserve),
    ],
)
async def test_the_error_names_a_key_of_another_type(
    client: Redis, group: Consumer, key: str, step: Step
):
    await client.sadd(key, "a")  # type: ignore[misc]

    with pytest.raises(StreamError, match=re.escape(key)):
        await step(group)


async def test_whatever_is_under_the_key_that_never_exists_there_is_room(
    client: Redis, group: Consumer
):
    await wrong_type(client, "{s}:never")

    await group.require_room("s")


@pytest.mark.parametrize("text", ["x", "5", "1-1 x", "-", "1-1-1"])
async def test_the_error_names_a_floor_that_is_none(client: Redis, group: Consumer, text: str):
    floor = f"{SOURCE}:floor:notifier"
    await client.xadd(SOURCE, {"a": "1"})
    await client.set(floor, text)

    with pytest.raises(StreamError, match=re.escape(f"{floor}: get failed")):
        await group.ensure([SOURCE])

    await client.delete(floor)
    await group.ensure([SOURCE])
    assert len(await group.read([SOURCE], count=1, block_seconds=0.01)) == 1


async def test_a_rate_limit_of_another_type_is_told_until_it_is_gone(
    client: Redis, group: Consumer
):
    heard: list[tuple[str, bool]] = []
    group.refused_keys.listener = lambda key, why: heard.append((key, why is not None))
    await client.sadd("teams:rate:sre", "a")  # type: ignore[misc]

    # The poster waits; nothing else says why.
    with pytest.raises(StreamError):
        await reserve(group)
    await client.delete("teams:rate:sre")
    await reserve(group)

    assert heard == [("teams:rate:sre", True), ("teams:rate:sre", False)]
