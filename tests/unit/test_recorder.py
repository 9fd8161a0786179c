"""What Postgres refuses is buried alone, and the rest of its batch is recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from notifier.config import load_config
from notifier.errors import OutcomeError, StatementTimeoutError, StoreError
from notifier.stages.recorder import Recorder
from notifier.streams.group import Entry
from notifier.streams.hop import HopResult, Move
from notifier.streams.keys import Keys
from notifier.streams.leases import Leases

CONFIG = load_config(None, {})
KEYS = Keys("teams:events")


class Redis:
    """A group with one batch of outcomes to read."""

    def __init__(self, count: int) -> None:
        self.waiting = [
            Entry(KEYS.outcomes, f"{number}-1", {b"outcome": b'{"n":%d}' % number})
            for number in range(count)
        ]
        self.moves: list[Move] = []

    async def claim(self, *_: object, **__: object) -> list[Entry]:
        return []

    async def read(self, *_: object, **__: object) -> list[Entry]:
        read, self.waiting = self.waiting, []
        return read

    async def hop(self, moves: Sequence[Move]) -> list[HopResult]:
        self.moves += moves
        return []


class Postgres:
    """Refuses a batch that holds one of some outcomes, or more than so many; more than `in_time` take it too long."""

    def __init__(self, *, refused: set[int], most: int, in_time: int = 200) -> None:
        self._refused = refused
        self._most = most
        self.in_time = in_time
        self.recorded: list[int] = []
        self.statements = 0

    async def record(self, outcomes: Sequence[bytes], *, store_cards: bool) -> None:
        self.statements += 1
        numbers = [json.loads(outcome)["n"] for outcome in outcomes]
        if len(numbers) > self.in_time:
            raise StatementTimeoutError("took too long")
        if len(numbers) > self._most or self._refused.intersection(numbers):
            raise OutcomeError("refused")
        self.recorded += numbers


def recorder_of(redis: Redis, postgres: Postgres) -> Recorder:
    group: Any = redis
    return Recorder(
        group,
        "teams:events",
        store=postgres,
        leases=Leases(group, lease_seconds=15),
        settings=CONFIG.recorder,
        redis_settings=CONFIG.redis,
        now=lambda: datetime(2026, 11, 24, tzinfo=UTC),
    )


async def recorded(redis: Redis, postgres: Postgres) -> None:
    await recorder_of(redis, postgres).turn()


@pytest.mark.parametrize("refused", [set(), {0}, {199}, {77}, {3, 4, 150}])
async def test_only_what_is_at_fault_is_buried_and_the_order_is_kept(refused: set[int]) -> None:
    redis, postgres = Redis(200), Postgres(refused=refused, most=200)

    await recorded(redis, postgres)

    assert postgres.recorded == [number for number in range(200) if number not in refused]
    assert [move.entry_id for move in redis.moves] == [f"{number}-1" for number in range(200)]
    buried = {move.entry_id for move in redis.moves if move.targets}
    assert buried == {f"{number}-1" for number in refused}


async def test_one_at_fault_does_not_cost_a_statement_for_each_of_the_others() -> None:
    postgres = Postgres(refused={77}, most=200)

    await recorded(Redis(200), postgres)

    assert postgres.statements < 20


async def test_a_batch_that_is_too_large_is_recorded_in_parts_and_nothing_is_buried() -> None:
    redis, postgres = Redis(200), Postgres(refused=set(), most=60)

    await recorded(redis, postgres)

    assert postgres.recorded == list(range(200))
    assert postgres.statements == 7
    assert not any(move.targets for move in redis.moves)


async def turns(recorder: Recorder, times: int) -> None:
    """Turn as the daemon does, which tries again what Postgres could not take."""
    for _ in range(times):
        with suppress(StoreError):
            await recorder.turn()


@pytest.mark.parametrize("in_time", [1, 3, 60, 199])
async def test_a_batch_that_takes_too_long_is_recorded_in_smaller_ones(in_time: int) -> None:
    redis, postgres = Redis(200), Postgres(refused={77}, most=200, in_time=in_time)

    await turns(recorder_of(redis, postgres), 500)

    assert postgres.recorded == [number for number in range(200) if number != 77]
    assert [move.entry_id for move in redis.moves if move.targets] == ["77-1"]
    assert [move.entry_id for move in redis.moves] == [f"{number}-1" for number in range(200)]


async def test_batches_grow_again_once_postgres_is_quick_again() -> None:
    redis, postgres = Redis(5_000), Postgres(refused=set(), most=200, in_time=3)
    recorder = recorder_of(redis, postgres)
    await turns(recorder, 20)
    postgres.in_time = 200
    postgres.statements = 0

    await turns(recorder, 100)

    assert postgres.recorded == [*range(5_000)]
    assert postgres.statements <= 100
