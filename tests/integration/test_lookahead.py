"""An urgent event does not wait behind a backlog of others, and is counted, moved and dropped exactly once all the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio
from pydantic import SecretStr

from notifier.config import Config, load_config
from notifier.masking import Masking
from notifier.notifications import decode
from notifier.provenance import ProducerKey, Signers, sign
from notifier.routing import Catalogue
from notifier.stages.intake import Intake
from notifier.streams import hop as hops
from notifier.streams import keys
from notifier.streams.connection import connect
from notifier.streams.group import ConsumerGroup
from notifier.streams.hop import HopResult, Move
from notifier.streams.keys import Keys
from notifier.telemetry import metrics

STREAM = "teams:events"
KEYS = Keys(STREAM)
URGENT, NORMAL = KEYS.lane("sre", urgent=True), KEYS.lane("sre", urgent=False)
AHEAD = keys.ahead(STREAM, "notifier")
BATCH = 20
CROWD = 200
KEY = ProducerKey("claims", SecretStr("0123456789abcdef0123456789abcdef"))

Event = Mapping[str, str]


@pytest.fixture
def config(redis_url: str) -> Config:
    env = {
        "REDIS_URL": redis_url,
        "TEAMS_INTAKE__BATCH": str(BATCH),
        "TEAMS_INTAKE__MAX_EVENT_BYTES": "20000",
        "TEAMS_REDIS__BLOCK_SECONDS": "0.05",
    }
    return load_config(None, env)


@pytest.fixture
async def client(config: Config) -> AsyncIterator[redis.asyncio.Redis]:
    connection = connect(config.redis)
    assert isinstance(connection, redis.asyncio.Redis)
    yield connection
    await connection.aclose()


@pytest.fixture
def group(client: redis.asyncio.Redis, config: Config) -> ConsumerGroup:
    return ConsumerGroup(client, config.redis, "one")


@pytest.fixture
def intake_of(config: Config) -> Callable[..., Intake]:
    def make(group: ConsumerGroup, signers: Signers | None = None) -> Intake:
        return Intake(
            group,
            STREAM,
            catalogue=Catalogue(config.routes, config.channels),
            masking=Masking.of(config.masking.fields, config.masking.exempt),
            settings=config.intake,
            redis_settings=config.redis,
            now=lambda: datetime.now(UTC),
            signers=signers or Signers(required=False),
        )

    return make


def calm(number: int) -> Event:
    return {"type": "a.b", "stakeholders": "sre", "id": f"n{number}", "priority": "INFO"}


async def publish(client: redis.asyncio.Redis, events: list[Event]) -> list[str]:
    pipeline = client.pipeline(transaction=False)
    for event in events:
        pipeline.xadd(STREAM, dict(event))
    return [entry_id.decode() for entry_id in await pipeline.execute()]


async def read_all(*intakes: Intake) -> None:
    while any([await intake.turn() for intake in intakes]):
        pass


async def ids(client: redis.asyncio.Redis, lane: str) -> list[str]:
    return [decode(fields[b"notification"]).event_id for _, fields in await client.xrange(lane)]


def counted(result: str) -> float:
    return metrics.EVENTS.labels(STREAM, result)._value.get()


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
    intake_of: Callable[..., Intake],
    event: Event,
):
    intake = intake_of(group)
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
    client: redis.asyncio.Redis, group: ConsumerGroup, intake_of: Callable[..., Intake]
):
    events = [calm(number) for number in range(CROWD)]
    for number in range(30):
        urgent = {**calm(number), "id": f"u{number}", "priority": "HIGH"}
        events.insert(number * 6, {**urgent, "stakeholders": "sre,pmo"})
    await publish(client, events)
    intake = intake_of(group)
    await group.ensure([STREAM])

    await read_all(intake)

    expected = [f"u{number}" for number in range(30)]
    assert await ids(client, URGENT) == expected
    assert await ids(client, KEYS.lane("pmo", urgent=True)) == expected
    assert await client.xlen(NORMAL) == CROWD


async def test_several_processes_move_each_event_once(
    client: redis.asyncio.Redis, config: Config, intake_of: Callable[..., Intake]
):
    groups = [ConsumerGroup(client, config.redis, name) for name in ("one", "two", "three")]
    intakes = [intake_of(group) for group in groups]
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
    client: redis.asyncio.Redis, group: ConsumerGroup, intake_of: Callable[..., Intake]
):
    intake = intake_of(group)
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
    client: redis.asyncio.Redis, group: ConsumerGroup, intake_of: Callable[..., Intake]
):
    urgent = {**calm(0), "priority": "HIGH", "patient_id": "PAT-12345"}
    key = KEY.key.get_secret_value().encode()
    events = [sign(KEY.name, key, calm(number)) for number in range(CROWD)]
    await publish(
        client,
        [*events, {**urgent, "id": "forged"}, sign(KEY.name, key, {**urgent, "id": "u"})],
    )
    intake = intake_of(group, Signers(required=True, producers=(KEY,)))
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
    client: redis.asyncio.Redis, group: ConsumerGroup, intake_of: Callable[..., Intake]
):
    await publish(client, [{**calm(number), "priority": "HIGH"} for number in range(CROWD)])
    intake = intake_of(group)
    await group.ensure([STREAM])
    before = metrics.EVENTS_AHEAD.labels(STREAM)._value.get()

    await read_all(intake)

    assert await ids(client, URGENT) == [f"n{number}" for number in range(CROWD)]
    assert metrics.EVENTS_AHEAD.labels(STREAM)._value.get() == before


async def test_without_a_backlog_nobody_looks_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup, intake_of: Callable[..., Intake]
):
    await publish(client, [calm(number) for number in range(BATCH - 1)])
    intake = intake_of(group)
    await group.ensure([STREAM])

    await read_all(intake)

    assert await client.exists(keys.scout(STREAM, "notifier"), AHEAD) == 0


async def test_large_events_are_read_a_few_at_a_time(
    client: redis.asyncio.Redis, group: ConsumerGroup, config: Config
):
    roomy = config.intake.model_copy(update={"batch": 1000, "max_event_bytes": 10**6})
    intake = Intake(
        group,
        STREAM,
        catalogue=Catalogue(config.routes, config.channels),
        masking=Masking.of(config.masking.fields, config.masking.exempt),
        settings=roomy,
        redis_settings=config.redis,
        now=lambda: datetime.now(UTC),
        signers=Signers(required=False),
    )
    channels = ",".join(config.channels)
    event = {"type": "a.b", "stakeholders": channels, "note": "x" * 900_000}
    await publish(client, [event] * 20)
    await group.ensure([STREAM])

    assert 1 <= await intake.turn() <= 10
    await read_all(intake)

    assert await client.xlen(NORMAL) == 20


def ahead(entry_id: str, mark: str = "x") -> Move:
    return Move(
        STREAM, entry_id, ((URGENT, {"a": "1"}),), delete=False, mark=KEYS.seen(mark), mark_seconds=60, ahead=True,
    )  # fmt: skip


def regular(entry_id: str, mark: str = "x") -> Move:
    return Move(
        STREAM, entry_id, ((URGENT, {"a": "1"}),), delete=False, mark=KEYS.seen(mark), mark_seconds=60,
    )  # fmt: skip


async def read(group: ConsumerGroup, count: int = 100) -> list[str]:
    return [e.id for e in await group.read([STREAM], count=count, block_seconds=0.01)]


async def test_it_goes_nowhere_a_second_time_however_late_the_group_comes_to_it(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    [entry_id] = await publish(client, [calm(1)])
    await group.ensure([STREAM])
    assert await group.hop([ahead(entry_id)]) == [HopResult.MOVED]
    # Its mark lives a day only.
    await client.delete(KEYS.seen("x"))

    assert await read(group) == [entry_id]
    assert await group.hop([regular(entry_id)]) == [HopResult.WAS_AHEAD]

    assert await client.xlen(URGENT) == 1
    assert await client.exists(AHEAD) == 0
    assert 0 < await client.ttl(KEYS.seen("x")) <= 60


async def test_what_became_a_dead_letter_after_a_reload_is_not_one_if_it_had_gone_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    [entry_id] = await publish(client, [calm(1)])
    await group.ensure([STREAM])
    await group.hop([ahead(entry_id)])
    await read(group)

    letter = Move(STREAM, entry_id, ((KEYS.dead, {"a": "1"}),), delete=False)
    assert await group.hop([letter]) == [HopResult.WAS_AHEAD]

    assert await client.exists(KEYS.dead) == 0


async def test_what_the_group_has_read_or_another_has_moved_does_not_go_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    first, second, gone = await publish(client, [calm(1), calm(2), calm(3)])
    await group.ensure([STREAM])
    assert await read(group, 1) == [first]
    await client.xdel(STREAM, gone)

    assert await group.hop([ahead(first, "1"), ahead(gone, "3"), ahead(second, "2")]) == [
        HopResult.LOST, HopResult.LOST, HopResult.MOVED,
    ]  # fmt: skip
    assert await group.hop([ahead(second, "other")]) == [HopResult.LOST]

    assert await client.xlen(URGENT) == 1
    assert await client.exists(KEYS.seen("1"), KEYS.seen("3"), KEYS.seen("other")) == 0


async def test_the_second_of_an_id_is_dropped_by_the_group_and_not_ahead_of_it(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    first, second = await publish(client, [calm(1), calm(1)])
    await group.ensure([STREAM])

    assert await group.hop([ahead(first), ahead(second)]) == [
        HopResult.MOVED,
        HopResult.DUPLICATE,
    ]
    assert (await client.xpending(STREAM, "notifier"))["pending"] == 0
    await read(group)
    assert await group.hop([regular(first), regular(second)]) == [
        HopResult.WAS_AHEAD,
        HopResult.DUPLICATE,
    ]

    assert await client.xlen(URGENT) == 1


async def test_a_group_that_is_lost_does_not_deliver_again_what_went_ahead(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    first, second = await publish(client, [calm(1), calm(2)])
    await group.ensure([STREAM])
    assert await read(group, 1) == [first]
    await group.hop([regular(first, "1"), ahead(second, "2")])
    await client.delete(KEYS.seen("1"), KEYS.seen("2"))
    await client.xgroup_destroy(STREAM, "notifier")

    assert await group.hop([ahead(second, "2")]) == [HopResult.LOST]
    await group.ensure([STREAM])
    assert await read(group) == [second]
    assert await group.hop([regular(second, "2")]) == [HopResult.WAS_AHEAD]

    assert await client.xlen(URGENT) == 2


async def test_what_went_ahead_in_a_stream_that_was_deleted_is_forgotten_with_it(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    await client.xadd(STREAM, {"a": "1"}, id="5-1")
    await client.xadd(STREAM, {"a": "1"}, id="5-2")
    await group.ensure([STREAM])
    await read(group, 1)
    await group.hop([regular("5-1", "1"), ahead("5-2", "2")])
    await client.delete(STREAM, KEYS.seen("2"))
    # Another stream of the same name, whose ids begin anew.
    await client.xadd(STREAM, {"a": "1"}, id="1-1")
    await group.ensure([STREAM])
    await client.xadd(STREAM, {"a": "1"}, id="5-2")

    assert await read(group) == ["1-1", "5-2"]
    assert await group.hop([regular("5-2", "2")]) == [HopResult.MOVED]


async def test_what_was_trimmed_before_the_group_came_to_it_leaves_nothing_behind(
    client: redis.asyncio.Redis, group: ConsumerGroup
):
    for number in range(1, 4):
        await client.xadd(STREAM, {"a": "1"}, id=f"{number}-1")
    await group.ensure([STREAM])
    await group.hop([ahead("2-1", "2")])
    await client.xdel(STREAM, "2-1")

    await group.hop([regular(entry_id, entry_id) for entry_id in await read(group)])

    assert await client.exists(AHEAD) == 0


async def test_no_more_go_ahead_than_redis_is_to_remember(
    client: redis.asyncio.Redis, group: ConsumerGroup, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hops, "_MOST_AHEAD", 2)
    entry_ids = await publish(client, [calm(number) for number in range(3)])
    await group.ensure([STREAM])

    results = await group.hop([ahead(entry_id, entry_id) for entry_id in entry_ids])

    assert results == [HopResult.MOVED, HopResult.MOVED, HopResult.LOST]
    await read(group)
    await group.hop([regular(entry_id, entry_id) for entry_id in entry_ids])
    assert await client.xlen(URGENT) == 3
