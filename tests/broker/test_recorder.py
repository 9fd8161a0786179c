"""The recorder buries only the outcomes at fault, and keeps the order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from notifier.errors import OutcomeError, StatementTimeoutError, StoreError
from notifier.pipeline.recorder import Recorder
from tests.support.backlog import KEYS, MOST_TURNS
from tests.support.broker import Broker
from tests.support.stages import Stages

BATCH = 40


class Postgres:
    """Refuses some outcomes, and batches over `most`.

    More than `in_time` take it too long.
    """

    def __init__(self, *, refused: set[int], most: int, in_time: int = BATCH) -> None:
        self._refused = refused
        self._most = most
        self.in_time = in_time
        self.recorded: list[int] = []
        self.statements = 0

    async def record(self, outcomes: Sequence[bytes], **_: object) -> None:
        self.statements += 1
        numbers = [json.loads(outcome)["n"] for outcome in outcomes]
        if len(numbers) > self.in_time:
            raise StatementTimeoutError("took too long")
        if len(numbers) > self._most or self._refused.intersection(numbers):
            raise OutcomeError("refused")
        self.recorded += numbers


async def wait_for_postgres(broker: Broker, count: int) -> None:
    """Let this many outcomes wait in their stream."""
    await broker.group("one").ensure([KEYS.outcomes])
    pipeline = broker.client.pipeline(transaction=False)
    for number in range(count):
        pipeline.xadd(KEYS.outcomes, {"outcome": b'{"n":%d}' % number})
    await pipeline.execute()


async def buried(stages: Stages) -> list[int]:
    """Return which outcomes are dead letters."""
    letters = await stages.dead_letters()
    assert {letter["reason"] for letter in letters} <= {"unrecordable"}
    return [json.loads(letter["event"])["n"] for letter in letters]


@pytest.mark.parametrize("refused", [set(), {0}, {39}, {17}, {3, 4, 30}])
async def test_only_what_is_at_fault_is_buried_and_the_order_is_kept(
    client: Redis, broker: Broker, stages: Stages, refused: set[int]
):
    postgres = Postgres(refused=refused, most=BATCH)
    await wait_for_postgres(broker, BATCH)

    await stages.recorder(postgres, batch=BATCH).step()

    assert postgres.recorded == [number for number in range(BATCH) if number not in refused]
    assert await buried(stages) == sorted(refused)
    assert await client.xlen(KEYS.outcomes) == 0


async def test_one_at_fault_does_not_cost_a_statement_for_each_of_the_others(
    broker: Broker, stages: Stages
):
    postgres = Postgres(refused={17}, most=BATCH)
    await wait_for_postgres(broker, BATCH)

    await stages.recorder(postgres, batch=BATCH).step()

    assert postgres.statements < BATCH / 2


async def test_batch_that_is_too_large_is_recorded_in_parts_and_nothing_is_buried(
    broker: Broker, stages: Stages
):
    postgres = Postgres(refused=set(), most=12)
    await wait_for_postgres(broker, BATCH)

    await stages.recorder(postgres, batch=BATCH).step()

    assert postgres.recorded == list(range(BATCH))
    assert postgres.statements == 7
    assert await buried(stages) == []


async def steps(recorder: Recorder, times: int) -> None:
    """Turn as the daemon does, which tries again what Postgres could not take."""
    for _ in range(times):
        with suppress(StoreError):
            await recorder.step()


async def until_empty(client: Redis, recorder: Recorder) -> None:
    """Turn until no outcome waits."""
    for _ in range(MOST_TURNS):
        if not await client.xlen(KEYS.outcomes):
            return
        await steps(recorder, 1)
    raise AssertionError("the same outcomes are recorded again and again")


@pytest.mark.parametrize("in_time", [1, 3, 12, 39])
async def test_batch_that_takes_too_long_is_recorded_in_smaller_ones(
    client: Redis, broker: Broker, stages: Stages, in_time: int
):
    postgres = Postgres(refused={17}, most=BATCH, in_time=in_time)
    await wait_for_postgres(broker, BATCH)

    await until_empty(client, stages.recorder(postgres, batch=BATCH))

    assert postgres.recorded == [number for number in range(BATCH) if number != 17]
    assert await buried(stages) == [17]


async def test_batches_grow_again_once_postgres_is_quick_again(
    client: Redis, broker: Broker, stages: Stages
):
    postgres = Postgres(refused=set(), most=BATCH, in_time=3)
    recorder = stages.recorder(postgres, batch=BATCH)
    await wait_for_postgres(broker, 200)
    await steps(recorder, 20)
    postgres.in_time = BATCH
    postgres.statements = 0

    await until_empty(client, recorder)

    assert postgres.recorded == [*range(200)]
    assert postgres.statements <= 30


async def test_outcomes_that_postgres_could_not_take_are_recorded_by_another_process(
    client: Redis, broker: Broker, stages: Stages
):
    await wait_for_postgres(broker, 3)
    await steps(stages.recorder(Postgres(refused=set(), most=BATCH, in_time=0)), 1)
    assert await client.xlen(KEYS.outcomes) == 3
    # As if the first process had been silent for longer than a lease.
    entries = [entry_id.decode() for entry_id, _ in await client.xrange(KEYS.outcomes)]
    await broker.group("one").give_up(KEYS.outcomes, entries)
    postgres = Postgres(refused=set(), most=BATCH)

    await stages.recorder(postgres, broker.group("two")).step()

    assert postgres.recorded == [0, 1, 2]
    assert await client.xlen(KEYS.outcomes) == 0
