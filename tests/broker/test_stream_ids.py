"""Faulty ids and foreign groups are named, with a fix that works."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move
from notifier.broker.stats import event_stream_stats
from notifier.broker.stream_ids import judge_ids, read_ids
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.events.notification import decode
from tests.support.backlog import KEYS, NORMAL, STREAM, calm, ids, publish, read_all
from tests.support.stages import Stages

LAST = f"{2**64 - 1}-{2**64 - 1}"
RETENTION = 3600.0


async def faults(client: Redis, config: Config) -> list[str]:
    found = await read_ids(Streams(client, config.redis), STREAM)
    assert found is not None
    return [f"{each.what} {each.fix}" for each in judge_ids(found, retention_seconds=RETENTION)]


async def test_a_stream_that_does_not_exist_has_no_fault(client: Redis, config: Config):
    assert await read_ids(Streams(client, config.redis), STREAM) is None


async def test_a_stream_with_a_backlog_of_ours_has_no_fault(
    client: Redis, config: Config, group: Consumer
):
    await client.xadd(STREAM, {"a": "1"}, id="5-1")
    await publish(client, [calm(1)])
    await group.ensure([STREAM])
    await group.read([STREAM], count=1, block_seconds=0.01)

    assert await faults(client, config) == []


@pytest.mark.parametrize("entry_id", [LAST, f"{2**64 - 1}-1", "9999999999999-1"])
async def test_an_id_far_ahead_is_named_and_its_cure_brings_the_stream_back(
    client: Redis,
    config: Config,
    group: Consumer,
    stages: Stages,
    entry_id: str,
):
    await group.ensure([STREAM])
    await client.xadd(STREAM, dict(calm(1)), id=entry_id)
    intake = stages.intake(group)

    [fault] = await faults(client, config)

    assert f"DEL {STREAM}" in fault
    await read_all(intake)
    [(_, fields)] = await client.xrange(NORMAL)
    told = datetime.fromisoformat(decode(fields[b"notification"]).event_time)
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60
    # Nothing waits; looking and trimming work all the same.
    assert (await event_stream_stats(group, STREAM, ["sre"])).events.waiting == 0
    await group.trim(STREAM, older_than_ms=5)

    await client.delete(STREAM)
    await publish(client, [calm(2)])
    await group.ensure([STREAM])
    await read_all(intake)
    assert await ids(client, NORMAL) == ["n1", "n2"]
    assert await faults(client, config) == []


async def test_a_group_that_was_set_ahead_is_named_and_its_cure_loses_nothing(
    client: Redis, config: Config, group: Consumer, stages: Stages
):
    intake = stages.intake(group)
    await group.ensure([STREAM])
    await publish(client, [calm(1)])
    await read_all(intake)
    await client.xgroup_setid(STREAM, "notifier", "9999999999999-0")
    await publish(client, [calm(2)])
    await read_all(intake)
    assert await ids(client, NORMAL) == ["n1"]

    [fault] = await faults(client, config)

    assert f"XGROUP DESTROY {STREAM} 'notifier'" in fault
    await client.xgroup_destroy(STREAM, "notifier")
    await group.ensure([STREAM])
    await read_all(intake)
    assert await ids(client, NORMAL) == ["n1", "n2"]
    assert await faults(client, config) == []


@pytest.mark.parametrize("pending", [0, 1])
async def test_a_group_of_others_that_holds_up_trimming_is_named(
    client: Redis, config: Config, group: Consumer, pending: int
):
    for number in range(1, 4):
        await client.xadd(STREAM, {"a": "1"}, id=f"{number}-1")
    await group.ensure([STREAM])
    entries = await group.read([STREAM], count=10, block_seconds=0.01)
    await group.hop([Move(STREAM, entry.id, delete=False) for entry in entries])
    await client.xgroup_create(STREAM, "forgotten", id="0")
    if pending:
        await client.xreadgroup("forgotten", "x", {STREAM: ">"}, count=pending)
    assert await group.trim(STREAM, older_than_ms=10_000) == 0

    [fault] = await faults(client, config)

    assert "forgotten" in fault
    await client.xgroup_destroy(STREAM, "forgotten")
    assert await faults(client, config) == []
    assert await group.trim(STREAM, older_than_ms=10_000) == 3


async def test_a_group_of_others_that_reads_is_none_of_our_business(
    client: Redis, config: Config, group: Consumer
):
    await publish(client, [calm(1)])
    await client.xgroup_create(STREAM, "busy", id="0")

    assert await faults(client, config) == []
    assert await client.exists(KEYS.dead) == 0
