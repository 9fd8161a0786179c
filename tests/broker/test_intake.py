"""Intake sends each event once to its channels, or makes a dead letter."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import HopResult, Move
from notifier.errors import StreamError
from notifier.events.notification import decode
from notifier.events.producer_signature import Signers, sign_own
from notifier.events.signing import KeySet
from tests.support.backlog import KEYS, NORMAL, STREAM, URGENT, calm, ids, publish, read_all
from tests.support.broker import Broker
from tests.support.stages import Stages

DEVOPS = KEYS.lane("devops", urgent=False)


@pytest.fixture
async def group(broker: Broker) -> Consumer:
    group = broker.group("one")
    await group.ensure([STREAM])
    return group


async def pending(client: Redis) -> int:
    return int((await client.xpending(STREAM, "notifier"))["pending"])


async def test_event_goes_to_the_lane_of_each_of_its_channels_and_stays_in_its_stream(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [{**calm(1), "stakeholders": "sre,devops"}])

    assert await stages.intake(group).step() == 1

    assert await ids(client, NORMAL) == await ids(client, DEVOPS) == ["n1"]
    assert await client.xlen(STREAM) == 1
    assert await pending(client) == 0


async def test_urgent_and_other_events_go_to_lanes_of_their_own(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1), {**calm(2), "priority": "CRITICAL"}])

    await stages.intake(group).step()

    assert (await ids(client, URGENT), await ids(client, NORMAL)) == (["n2"], ["n1"])


async def test_event_that_is_published_twice_is_sent_once(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1), calm(2), calm(1)])

    await read_all(stages.intake(group))

    assert await ids(client, NORMAL) == ["n1", "n2"]
    assert await pending(client) == 0


async def test_event_that_an_earlier_version_routed_ahead_of_its_turn_is_not_sent_again(
    client: Redis, group: Consumer, stages: Stages
):
    [*_, routed] = await publish(client, [calm(1), calm(2)])
    # As earlier versions left it: in its lane, marked as seen, and remembered until the group acknowledges it.
    await client.set(KEYS.seen("n2"), routed, ex=86_400)
    await client.zadd("{teams:events}:ahead:notifier", {routed: int(routed.split("-")[0])})

    await read_all(stages.intake(group))

    assert await ids(client, NORMAL) == ["n1"]
    assert await pending(client) == 0
    assert await client.exists(KEYS.dead) == 0


async def test_two_processes_send_each_event_once(
    client: Redis, broker: Broker, group: Consumer, stages: Stages
):
    await publish(client, [calm(number) for number in range(50)])

    await read_all(stages.intake(group), stages.intake(broker.group("two")))

    assert sorted(await ids(client, NORMAL)) == sorted(f"n{number}" for number in range(50))


async def test_event_without_an_id_is_sent_once_and_leaves_no_mark(
    client: Redis, broker: Broker, group: Consumer, stages: Stages
):
    slow = broker.group("slow")
    await client.xadd(STREAM, {"type": "a.b", "stakeholders": "sre"})
    [entry] = await slow.read([STREAM], count=10, block_seconds=0.01)
    await slow.give_up(STREAM, [entry.id])
    await read_all(stages.intake(group))

    # The slow process goes on with what another has taken from it.
    move = Move(STREAM, entry.id, ((NORMAL, {"notification": "again"}),), delete=False)
    assert await slow.hop([move]) == [HopResult.LOST]
    assert await client.xlen(NORMAL) == 1
    assert await client.keys("*:seen:*") == []


async def test_event_of_a_process_that_died_is_claimed_and_sent_once(
    client: Redis, broker: Broker, group: Consumer, stages: Stages
):
    dead = broker.group("dead")
    await publish(client, [calm(1), calm(2)])
    read = await dead.read([STREAM], count=10, block_seconds=0.01)
    # As if it had been silent for longer than a lease.
    await dead.give_up(STREAM, [entry.id for entry in read])

    await read_all(stages.intake(group))

    assert await ids(client, NORMAL) == ["n1", "n2"]
    assert await pending(client) == 0


async def test_event_that_no_process_survives_is_buried_as_poison(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1)])
    [entry] = await group.read([STREAM], count=1, block_seconds=0.01)
    await stages.die_of(STREAM, entry.id, times=stages.config.redis.max_deliveries)

    await stages.intake(group).step()

    [letter] = await stages.dead_letters()
    assert letter["reason"] == "poison"
    assert "n1" in letter["event"]
    assert await client.xlen(NORMAL) == 0
    assert await pending(client) == 0


async def test_event_of_its_last_try_is_still_sent(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1)])
    [entry] = await group.read([STREAM], count=1, block_seconds=0.01)
    await stages.die_of(STREAM, entry.id, times=stages.config.redis.max_deliveries - 1)

    await stages.intake(group).step()

    assert await ids(client, NORMAL) == ["n1"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "a b", "note": "kept"}, "invalid_event"),
        ({"type": "a.b", "time": "yesterday", "note": "kept"}, "invalid_event"),
        ({"type": "a.b", "note": "kept" * 6_000}, "invalid_event"),
        ({"note": "kept"}, "invalid_event"),
        ({"type": "a.b", "stakeholders": "nobody", "note": "kept"}, "unknown_channel"),
    ],
    ids=["type", "time", "size", "no type", "channel"],
)
async def test_entry_that_goes_nowhere_is_buried_with_its_reason_and_its_fields(
    client: Redis,
    group: Consumer,
    stages: Stages,
    fields: dict[str, str],
    reason: str,
):
    [entry_id] = await publish(client, [fields])

    await stages.intake(group).step()

    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["stage"]) == (reason, "intake")
    assert letter["source_id"] == entry_id
    assert "kept" in letter["event"]
    assert await pending(client) == 0


async def test_channel_that_is_unknown_is_buried_and_the_known_one_is_served(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [{**calm(1), "stakeholders": "sre,nobody"}])

    await stages.intake(group).step()

    assert await ids(client, NORMAL) == ["n1"]
    [letter] = await stages.dead_letters()
    assert letter["reason"] == "unknown_channel"
    assert json.loads(letter["event"])["event"]["stakeholders"] == ["nobody"]


async def test_event_without_a_known_signature_is_buried_where_signatures_are_required(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1), {**calm(2), "signature": f"claims-api:{'0' * 64}"}])

    await stages.intake(group, signers=Signers(required=True)).step()

    letters = await stages.dead_letters()
    assert [letter["reason"] for letter in letters] == ["unsigned", "unsigned"]
    assert [letter["event_id"] for letter in letters] == ["n1", "n2"]
    assert [letter.get("signer") for letter in letters] == [None, "claims-api"]
    assert await client.xlen(NORMAL) == 0


OWN = KeySet(SecretStr("k3y-of-the-daemon-0123456789"))
ESCALATION = {
    "type": "notifier.escalation", "stakeholders": "sre", "data": '{"answer_id": "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07"}',
}  # fmt: skip


async def test_an_escalation_that_notifier_did_not_sign_is_buried_though_none_need_a_signature(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [ESCALATION, sign_own(OWN, STREAM, {**ESCALATION, "id": "e1"})])

    await stages.intake(group, signers=Signers(required=False, own=OWN)).step()

    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["event_type"]) == ("unsigned", "notifier.escalation")
    assert await ids(client, URGENT) == ["e1"]


async def test_poison_that_nobody_signed_stays_unsigned_so_that_no_replay_vouches_for_it(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1)])
    [entry] = await group.read([STREAM], count=1, block_seconds=0.01)
    await stages.die_of(STREAM, entry.id, times=stages.config.redis.max_deliveries)

    await stages.intake(group, signers=Signers(required=True)).step()

    assert [letter["reason"] for letter in await stages.dead_letters()] == ["unsigned"]


async def test_patient_is_masked_before_an_event_is_in_a_lane(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [{**calm(1), "patient_id": "PAT-12345", "note": "of PAT-12345"}])

    await stages.intake(group).step()

    [(_, fields)] = await client.xrange(NORMAL)
    assert b"12345" not in fields[b"notification"]
    assert "patient_id" in decode(fields[b"notification"]).data


async def test_entry_that_was_trimmed_while_in_flight_is_passed_over(
    client: Redis, broker: Broker, group: Consumer, stages: Stages
):
    dead = broker.group("dead")
    [gone] = await publish(client, [calm(1)])
    await dead.read([STREAM], count=1, block_seconds=0.01)
    await dead.give_up(STREAM, [gone])
    await client.xdel(STREAM, gone)
    await publish(client, [calm(2)])

    await read_all(stages.intake(group))

    assert await ids(client, NORMAL) == ["n2"]
    assert await pending(client) == 0


async def test_nothing_is_lost_while_redis_is_away(
    client: Redis, broker: Broker, group: Consumer, stages: Stages
):
    intake = stages.intake(group)
    await publish(client, [calm(1)])
    await broker.go_away()
    with pytest.raises(StreamError):
        await intake.step()
    await broker.come_back()

    await read_all(intake)

    assert await ids(client, NORMAL) == ["n1"]


@pytest.mark.fake_cannot("fill up")
async def test_events_wait_in_their_stream_while_redis_is_full(
    client: Redis, group: Consumer, stages: Stages
):
    await publish(client, [calm(1)])
    await client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StreamError, match="is full"):
            await stages.intake(group).step()
    finally:
        await client.config_set("maxmemory", 0)

    assert await pending(client) == await client.xlen(NORMAL) == 0


async def test_large_events_are_read_a_few_at_a_time(
    client: Redis, group: Consumer, stages: Stages
):
    intake = stages.intake(group, batch=1000, max_event_bytes=10**6)
    await publish(client, [{**calm(number), "note": "x" * 900_000} for number in range(10)])

    assert 1 <= await intake.step() <= 8
    await read_all(intake)

    assert await client.xlen(NORMAL) == 10


async def test_a_large_event_is_hopped_before_the_next_is_decided(
    client: Redis, group: Consumer, stages: Stages, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    sizes = [200_000, 200_000, 100, 100, 200_000, 100]
    events = [{**calm(number), "text": "x" * size} for number, size in enumerate(sizes, 1)]
    await publish(client, events)
    hops: list[int] = []
    hop = group.hop

    async def counted(moves: Sequence[Move]) -> Sequence[HopResult]:
        hops.append(len(moves))
        return await hop(moves)

    monkeypatch.setattr(group, "hop", counted)
    await read_all(stages.intake(group, max_event_bytes=10**6))

    assert hops == [1, 1, 2, 1, 1]
    assert await ids(client, NORMAL) == [f"n{number}" for number in range(1, 7)]


async def test_each_event_that_goes_alone_is_a_turn_of_its_own(
    client: Redis, broker: Broker, stages: Stages
):
    dead = broker.group("dead")
    await dead.ensure([STREAM])
    for number in range(3):
        await client.xadd(STREAM, {"type": "a.b", "stakeholders": "sre", "id": f"e{number}"})
    for entry in await dead.read([STREAM], count=3, block_seconds=0.01):
        await stages.die_of(STREAM, entry.id, times=3)
    intake = stages.intake()

    routed = []
    for _ in range(3):
        await intake.step()
        routed.append(await client.xlen(NORMAL))

    assert routed == [1, 2, 3]
