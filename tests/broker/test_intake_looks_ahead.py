"""An urgent event does not wait behind a backlog of others, and is counted, moved and dropped exactly once all the same."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import redis.asyncio

from notifier.config import Config
from notifier.notifications import decode
from notifier.provenance import Signers, sign
from notifier.streams import keys
from notifier.streams.group import ConsumerGroup
from notifier.telemetry import metrics
from tests.support.backlog import (
    AHEAD,
    BATCH,
    CROWD,
    KEY,
    KEYS,
    NORMAL,
    STREAM,
    URGENT,
    Event,
    calm,
    counted,
    ids,
    publish,
    read_all,
)
from tests.support.stages import Stages


@pytest.mark.parametrize(
    "event",
    [
        {"type": "system.redis.connection_lost", "stakeholders": "sre"},
        {"type": "a.b", "stakeholders": "sre", "priority": "critical"},
        {"type": "celery.task.failure", "stakeholders": "sre", "id": "by an alias"},
        {"event": json.dumps({"type": "a.b", "stakeholders": ["sre"], "priority": "HIGH"})},
        {"event": json.dumps({"type": "a.b", "stakeholders": ["sre"]}), "priority": "HIGH"},
        {
            "event": json.dumps(
                {
                    "specversion": "1.0", "id": "c", "source": "x", "type": "a.b",
                    "priority": "HIGH", "stakeholders": "sre",
                }
            )
        },
    ],
    ids=["route", "priority", "alias", "event", "beside the event", "cloudevent"],
)  # fmt: skip
async def test_an_urgent_event_behind_many_is_in_its_lane_after_the_first_batch(
    client: redis.asyncio.Redis,
    group: ConsumerGroup,
    stages: Stages,
    event: Event,
):
    intake = stages.intake(group)
    [*_, entry_id] = await publish(client, [*(calm(number) for number in range(CROWD)), event])
    await group.ensure([STREAM])
    before = {word: counted(word) for word in ("routed", "duplicate", "moved_elsewhere")}

    await intake.turn()

    assert await client.xlen(URGENT) == 1
    assert await client.xlen(NORMAL) < CROWD / 2
    await read_all(intake)
    assert await client.xlen(URGENT) == 1
    assert await ids(client, NORMAL) == [f"n{number}" for number in range(CROWD)]
    assert (await client.xpending(STREAM, "notifier"))["pending"] == 0
    assert await client.exists(AHEAD) == 0
    assert await client.exists(KEYS.dead) == 0
    assert counted("routed") - before["routed"] == CROWD + 1
    assert counted("duplicate") == before["duplicate"]
    assert counted("moved_elsewhere") == before["moved_elsewhere"]
    [(_, fields)] = await client.xrange(URGENT)
    assert decode(fields[b"notification"]).entry_id == entry_id


async def test_urgent_events_keep_their_order_and_what_several_channels_get_goes_together(
    client: redis.asyncio.Redis, group: ConsumerGroup, stages: Stages
):
    events = [calm(number) for number in range(CROWD)]
    for number in range(30):
        urgent = {**calm(number), "id": f"u{number}", "priority": "HIGH"}
        events.insert(number * 6, {**urgent, "stakeholders": "sre,pmo"})
    await publish(client, events)
    intake = stages.intake(group)
    await group.ensure([STREAM])

    await read_all(intake)

    expected = [f"u{number}" for number in range(30)]
    assert await ids(client, URGENT) == expected
    assert await ids(client, KEYS.lane("pmo", urgent=True)) == expected
    assert await client.xlen(NORMAL) == CROWD


async def test_several_processes_move_each_event_once(
    client: redis.asyncio.Redis, config: Config, stages: Stages
):
    groups = [ConsumerGroup(client, config.redis, name) for name in ("one", "two", "three")]
    intakes = [stages.intake(group) for group in groups]
    events = [calm(number) for number in range(CROWD * 2)]
    for number in range(40):
        events.insert(number * 9, {**calm(number), "id": f"u{number}", "priority": "HIGH"})
    await publish(client, events)
    await groups[0].ensure([STREAM])

    await read_all(*intakes)

    assert Counter(await ids(client, URGENT)) == Counter(f"u{number}" for number in range(40))
    assert len(await ids(client, NORMAL)) == CROWD * 2
    assert await client.exists(AHEAD) == 0


async def test_while_one_looks_ahead_another_does_not(
    client: redis.asyncio.Redis, config: Config
):
    one, two = (ConsumerGroup(client, config.redis, name) for name in ("one", "two"))
    await publish(client, [calm(1)])
    await one.ensure([STREAM])

    async def look(group: ConsumerGroup) -> Any:
        return await group.look_ahead(
            STREAM, "0-0", calm=(), count=10, max_bytes=1000, alone_seconds=60
        )

    assert (await look(one)).glimpses
    assert await look(two) is None
    assert (await look(one)).glimpses
    await client.delete(keys.scout(STREAM, "notifier"))
    assert (await look(two)).glimpses


async def test_looking_ahead_is_bounded_by_bytes_and_skips_what_is_known(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    await publish(client, [{**calm(number), "note": "x" * 1000} for number in range(30)])
    await group.ensure([STREAM])

    page = await group.look_ahead(
        STREAM, "0-0", calm=(), count=100, max_bytes=5000, alone_seconds=60
    )
    assert page is not None
    assert len(page.glimpses) == 5
    assert page.more
    rest = await group.look_ahead(
        STREAM, page.last, calm=[page.glimpses[0].kind], count=100, max_bytes=10**6, alone_seconds=60,
    )  # fmt: skip
    assert rest is not None
    assert (rest.after, rest.passed, rest.glimpses, rest.more) == (page.last, 25, [], False)


async def test_what_is_no_event_waits_for_its_turn_and_leaves_one_dead_letter(
    client: redis.asyncio.Redis, group: ConsumerGroup, stages: Stages
):
    intake = stages.intake(group)
    broken = [
        {"type": "a.b", "stakeholders": "sre", "priority": "HIGH", "note": "x" * 30_000},
        {"type": "a.b", "stakeholders": "sre", "priority": "HIGH", "time": "yesterday"},
        {"type": "a b", "stakeholders": "sre", "priority": "HIGH"},
        {"event": "{", "priority": "HIGH"},
        {"type": "a.b", "stakeholders": "nobody", "priority": "HIGH"},
    ]
    await publish(client, [*(calm(number) for number in range(CROWD)), *broken])
    await group.ensure([STREAM])

    await intake.turn()
    assert await client.exists(KEYS.dead) == 0
    await read_all(intake)

    assert await client.xlen(KEYS.dead) == len(broken)
    assert await client.xlen(NORMAL) == CROWD
    assert await client.exists(URGENT, AHEAD) == 0


async def test_signatures_are_verified_and_patients_masked_before_an_event_goes_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup, stages: Stages
):
    urgent = {**calm(0), "priority": "HIGH", "patient_id": "PAT-12345"}
    key = KEY.key.get_secret_value().encode()
    events = [sign(KEY.name, key, calm(number)) for number in range(CROWD)]
    await publish(
        client,
        [*events, {**urgent, "id": "forged"}, sign(KEY.name, key, {**urgent, "id": "u"})],
    )
    intake = stages.intake(group, signers=Signers(required=True, producers=(KEY,)))
    await group.ensure([STREAM])

    await intake.turn()
    assert await ids(client, URGENT) == ["u"]
    assert b"PAT-12345" not in b"".join(
        fields[b"notification"] for _, fields in await client.xrange(URGENT)
    )
    await read_all(intake)

    assert await ids(client, URGENT) == ["u"]
    assert [fields[b"reason"] for _, fields in await client.xrange(KEYS.dead)] == [b"unsigned"]


async def test_where_everything_is_urgent_the_order_is_left_as_it_is(
    client: redis.asyncio.Redis, group: ConsumerGroup, stages: Stages
):
    await publish(client, [{**calm(number), "priority": "HIGH"} for number in range(CROWD)])
    intake = stages.intake(group)
    await group.ensure([STREAM])
    before = metrics.EVENTS_AHEAD.labels(STREAM)._value.get()

    await read_all(intake)

    assert await ids(client, URGENT) == [f"n{number}" for number in range(CROWD)]
    assert metrics.EVENTS_AHEAD.labels(STREAM)._value.get() == before


async def test_without_a_backlog_nobody_looks_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup, stages: Stages
):
    await publish(client, [calm(number) for number in range(BATCH - 1)])
    intake = stages.intake(group)
    await group.ensure([STREAM])

    await read_all(intake)

    assert await client.exists(keys.scout(STREAM, "notifier"), AHEAD) == 0
