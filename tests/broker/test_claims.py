"""Entries of a dead process are claimed once, in order, in pieces."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import redis.asyncio
from msgspec.structs import replace
from redis.asyncio import Redis

from notifier.broker import pool
from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.errors import StreamError
from notifier.events.entry import Priority
from tests.support.backlog import (
    BATCH,
    KEYS,
    NORMAL,
    STREAM,
    URGENT,
    calm,
    ids,
    publish,
    read_all,
)
from tests.support.broker import Broker
from tests.support.reading import SOURCE, Joined, read, read_new
from tests.support.receiver import WebhookReceiver
from tests.support.stages import Lane, Stages, notifications

LONG_AGO_MS = 10**9


async def test_claimed_entry_that_is_too_large_comes_without_its_content(
    client: Redis, one: Consumer, other: Consumer
):
    await client.xadd(SOURCE, {"type": "a.b", "note": "x" * 5000})
    await client.xadd(SOURCE, {"type": "a.c"})
    await one.give_up(SOURCE, await read(one))

    large, small = await other.claim(SOURCE, idle_seconds=1, count=10, largest_bytes=1000)

    assert large.fields == {b"type": b"a.b", b"note": b""}
    assert large.withheld_bytes == 5011
    assert (small.fields, small.withheld_bytes) == ({b"type": b"a.c"}, 0)


@pytest.mark.fake_cannot("bound a reply")
async def test_reply_that_is_too_large_is_asked_for_again_in_pieces(
    client: Redis, one: Consumer, monkeypatch: pytest.MonkeyPatch
):
    await client.xadd(SOURCE, {"a": "1"})
    assert len(await read(one)) == 1
    for size in (10, 2_000_000, 20):
        await client.xadd(SOURCE, {"a": "x" * size})
    monkeypatch.setattr(pool, "MAX_REPLY_BYTES", 1_000_000)

    entries = await one.read([SOURCE], count=10, block_seconds=0.01, largest_bytes=1000)

    assert [entry.withheld_bytes for entry in entries] == [0, 2_000_001, 0]
    assert {entry.deliveries for entry in entries} == {1}
    assert await read(one) == []


@pytest.mark.parametrize("fails", [[True], [False, True], [True, True], [False, False, True]])
async def test_batch_whose_hop_failed_is_hopped_again_at_once(
    client: Redis,
    group: Consumer,
    stages: Stages,
    fails: list[bool],
    monkeypatch: pytest.MonkeyPatch,
):
    hop, left = group.hop, iter(fails)

    async def fail_at_times(moves: Sequence[Move]) -> list[HopResult]:
        if next(left, False):
            raise StreamError("connection lost")
        return await hop(moves)

    monkeypatch.setattr(group, "hop", fail_at_times)
    intake = stages.intake(group, max_event_bytes=10**6)
    # Of this size they are hopped one by one.
    await publish(client, [{**calm(number), "note": "x" * 100_000} for number in range(4)])

    for _ in range(sum(fails)):
        with pytest.raises(StreamError):
            await intake.step()
    await intake.step()

    assert await ids(client, NORMAL) == [f"n{number}" for number in range(4)]


async def test_all_that_a_process_left_is_claimed_before_anything_new_is_read(
    client: Redis, broker: Broker, stages: Stages
):
    dead = broker.group("dead")
    await dead.ensure([STREAM])
    left = [calm(number) for number in range(2 * BATCH)]
    await publish(client, left)
    entries = await dead.read([STREAM], count=2 * BATCH, block_seconds=0.01)
    await dead.give_up(STREAM, [entry.id for entry in entries])
    await publish(client, [calm(99)])

    await read_all(stages.intake(broker.group("one")))

    assert await ids(client, NORMAL) == [*(event["id"] for event in left), "n99"]


async def test_entry_too_large_to_be_kept_leaves_its_size_and_names(
    client: Redis, stages: Stages
):
    await publish(
        client, [{"type": "a.b", "patient_id": "PAT-12345", "note": "x" * 100_000}, calm(1)]
    )

    await read_all(stages.intake())

    [letter] = await stages.dead_letters()
    assert letter["reason"] == "invalid_event"
    assert len(letter["event"]) < 1000
    assert "PAT-12345" not in letter["event"]
    assert letter["event_type"] == "a.b"
    assert "patient_id" in letter["event"]
    assert await ids(client, NORMAL) == ["n1"]
    assert await client.xlen(KEYS.dead) == 1


async def leave_in_flight(broker: Broker, lane: str, count: int) -> None:
    """Let a process that is gone have read this many entries of a lane."""
    dead = broker.group("dead")
    entries = await dead.read([lane], count=count, block_seconds=0.01)
    assert len(entries) == count
    await dead.give_up(lane, [entry.id for entry in entries])


def one_by_one(
    stages: Stages, webhook_receiver: WebhookReceiver
) -> AbstractAsyncContextManager[Lane]:
    """Return a lane that posts one after the other."""
    limit = stages.config.rate_limit.model_copy(
        update={"requests": 200, "period_seconds": 1, "burst": 1, "min_interval_seconds": 0}
    )
    return stages.lane(webhook_receiver.url("sre"), rate_limit=limit)


@pytest.mark.parametrize("urgent", [True, False])
async def test_what_a_process_left_is_posted_before_all_that_is_newer(
    broker: Broker, stages: Stages, webhook_receiver: WebhookReceiver, urgent: bool
):
    priority = Priority.CRITICAL if urgent else Priority.LOW
    older, left, newer = (
        [
            replace(each, id=f"{name}-{each.id}", priority=priority)
            for each in notifications(many)
        ]
        for name, many in (("older", 3), ("left", 10), ("newer", 20))
    )
    async with one_by_one(stages, webhook_receiver) as lane:
        await stages.put(*older)
        while await lane.step():
            pass
        await stages.put(*left)
        await leave_in_flight(broker, URGENT if urgent else NORMAL, len(left))
        await stages.put(*newer)
        lane.delivery._reader._claim.again()
        while await lane.step():
            pass

    kinds = [
        request.headers["webhook-id"].partition("-")[0] for request in webhook_receiver.requests
    ]
    assert kinds == ["older"] * 3 + ["left"] * 10 + ["newer"] * 20


async def test_a_new_urgent_notification_goes_before_what_is_claimed_and_not_urgent(
    broker: Broker, stages: Stages, webhook_receiver: WebhookReceiver
):
    [urgent] = notifications(1, priority=Priority.CRITICAL)
    left = [replace(each, id=f"left-{each.id}") for each in notifications(3)]
    async with one_by_one(stages, webhook_receiver) as lane:
        await stages.put(*left)
        await leave_in_flight(broker, NORMAL, len(left))
        await stages.put(urgent)
        while await lane.step():
            pass

    first, *rest = [request.headers["webhook-id"] for request in webhook_receiver.requests]
    assert first == urgent.id
    assert sorted(rest) == [each.id for each in left]


async def test_nothing_is_claimed_for_a_lease_after_redis_was_away(
    broker: Broker, client: Redis, join: Joined
):
    owner, cut_off, other = await join("owner"), await join("cut off"), await join("other")
    await owner.give_up(SOURCE, await read_new(client, owner))
    await broker.go_away()
    with pytest.raises(StreamError):
        await read(cut_off)
    await broker.come_back()

    at_once = await cut_off.claim(SOURCE, idle_seconds=60, count=1)

    assert at_once == []
    assert len(await other.claim(SOURCE, idle_seconds=60, count=1)) == 1


@pytest.mark.fake_cannot("need replicas")
async def test_nothing_is_claimed_for_a_lease_after_redis_refused_all_writes(
    client: Redis, one: Consumer, other: Consumer
):
    await one.give_up(SOURCE, await read_new(client, one))
    await client.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(StreamError):
            await other.claim(SOURCE, idle_seconds=60, count=1)
    finally:
        await client.config_set("min-replicas-to-write", 0)

    # Its one could renew nothing meanwhile, as if it had died.
    assert await other.claim(SOURCE, idle_seconds=60, count=1) == []


async def test_what_is_left_is_claimed_though_redis_gives_no_more_connections(
    client: Redis, one: Consumer, other: Consumer, monkeypatch: pytest.MonkeyPatch
):
    await one.give_up(SOURCE, await read_new(client, one))
    with monkeypatch.context() as patch:

        async def refuse(*_: Any, **__: Any) -> None:
            raise redis.exceptions.ConnectionError("max number of clients reached")

        patch.setattr(client, "xreadgroup", refuse)
        with pytest.raises(StreamError):
            await read(other)

    # A living process has connections, and renews its leases.
    assert len(await other.claim(SOURCE, idle_seconds=60, count=1)) == 1


async def test_what_was_read_again_is_nobody_elses_for_a_lease(
    client: Redis, one: Consumer, other: Consumer, monkeypatch: pytest.MonkeyPatch
):
    await client.xadd(SOURCE, {"a": "1"})
    with monkeypatch.context() as patch:
        read_new = client.xreadgroup

        async def lose(*args: Any, **options: Any) -> None:
            await read_new(*args, **options)
            raise redis.exceptions.ConnectionError

        patch.setattr(client, "xreadgroup", lose)
        with pytest.raises(StreamError):
            await read(one)
    [pending] = await client.xpending_range(SOURCE, "notifier", "-", "+", 10)
    entry_id = pending["message_id"]
    await client.xclaim(
        SOURCE, "notifier", "one", 0, [entry_id], idle=LONG_AGO_MS, retrycount=1, justid=True
    )

    assert await read(one) == [entry_id.decode()]
    assert await other.claim(SOURCE, idle_seconds=1, count=1) == []


async def test_claimed_notification_that_its_owner_ends_after_all_is_not_posted(
    broker: Broker, stages: Stages, webhook_receiver: WebhookReceiver
):
    owner = broker.group("owner")
    async with stages.lane(webhook_receiver.url("sre")) as lane:
        [entry_id] = await stages.put(*notifications(1))
        await leave_in_flight(broker, NORMAL, 1)
        await lane.delivery.step()
        # A claimed entry is asked for when its work begins, and again right before its post.
        await owner.hop([Move(NORMAL, entry_id)])
        await lane.delivery.drain()

    assert webhook_receiver.requests == []


async def deliver_in_the_future(client: Redis) -> None:
    """Make all pending entries look delivered an hour in the future."""
    for each in await client.xpending_range(SOURCE, "notifier", "-", "+", 100):
        await client.xclaim(
            SOURCE, "notifier", each["consumer"], 0, [each["message_id"]],
            idle=5_000_000, justid=True,
        )  # fmt: skip
    dump = await client.dump(SOURCE)
    assert dump is not None
    seconds, micros = await client.time()
    delivered = seconds * 1000 + micros // 1000 - 5_000_000
    body = bytearray(dump[:-8])
    for at in range(len(body) - 8):
        (time_ms,) = struct.unpack_from("<q", body, at)
        if abs(time_ms - delivered) < 2000:
            struct.pack_into("<q", body, at, time_ms + 3_600_000 + 5_000_000)
    await client.restore(SOURCE, 0, bytes(body) + struct.pack("<Q", crc64(body)), replace=True)


def crc64(data: bytes) -> int:
    """Return the checksum of a dump (CRC-64, Jones)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


@pytest.mark.fake_cannot("dump a stream")
async def test_what_was_delivered_in_the_future_is_free_once_nobody_renews_it(
    client: Redis, join: Joined
):
    gone, living, other = await join("gone"), await join("living"), await join("other")
    await client.xadd(SOURCE, {"a": "1"})
    await client.xadd(SOURCE, {"a": "2"})
    [left], [kept] = await read(gone, 1), await read(living, 1)
    await deliver_in_the_future(client)
    lease = 0.3

    claimed_at_once = await other.claim(SOURCE, idle_seconds=lease, count=10)
    claimed = []
    async with asyncio.timeout(60):
        while not claimed:
            assert await living.renew(SOURCE, [kept]) == 1
            await asyncio.sleep(lease / 10)
            claimed = await other.claim(SOURCE, idle_seconds=lease, count=10)

    assert claimed_at_once == []
    assert [entry.id for entry in claimed] == [left]


async def test_what_is_delivered_at_this_moment_is_not_free(
    client: Redis, one: Consumer, other: Consumer
):
    [kept] = await read_new(client, one)

    for _ in range(20):
        await one.renew(SOURCE, [kept])
        assert await other.claim(SOURCE, idle_seconds=0.2, count=10) == []


async def test_nothing_is_claimed_right_after_the_clock_of_redis_was_set_ahead(
    client: Redis, one: Consumer, other: Consumer
):
    await client.xadd(SOURCE, {"a": "1"})
    await one.give_up(SOURCE, await read(one))
    seconds, _ = await client.time()
    other._clock.leapt(SOURCE, (seconds - 3600) * 1000, time.monotonic())

    assert await other.claim(SOURCE, idle_seconds=60, count=10) == []
    assert await other.claim(SOURCE, idle_seconds=60, count=10) == []
    assert len(await one.claim(SOURCE, idle_seconds=60, count=10)) == 1
