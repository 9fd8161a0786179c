"""Two people who act on one dead letter do it once, with one record."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from typing_extensions import override

from notifier.broker.client import Client, close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move, MoveResult
from notifier.broker.keys import Keys
from notifier.config import Config, load_config
from notifier.dead_letters.audit import DeadLetterAudit
from notifier.dead_letters.listing import find_dead_letter
from notifier.dead_letters.model import DeadLetter
from notifier.dead_letters.replay import DeadLetterService, Replayer
from notifier.errors import StoreError, StreamError
from notifier.events.masking import Masking
from notifier.events.routing import Catalogue

KEYS = Keys("teams:events")
EVENT = {"type": "a.b", "stakeholders": ["sre"], "id": "mended-1"}
Hold = Callable[[], Awaitable[None]]


class HeldGroup(Consumer):
    """Does something between the note in Postgres and the step in Redis."""

    def __init__(self, client: Client, config: Config, hold: Hold) -> None:
        super().__init__(client, config.redis, "test")
        self._hold = hold

    @override
    async def move(self, source: str, moves: Sequence[Move]) -> list[MoveResult]:
        await self._hold()
        return await super().move(source, moves)


@dataclass
class Services:
    """Makes services that share one Redis and one Postgres."""

    config: Config
    client: Client
    logs: list[DeadLetterAudit]

    def service(self, hold: Hold) -> DeadLetterService:
        database = self.config.database
        log = DeadLetterAudit(
            database.url, connect_timeout_seconds=database.connect_timeout_seconds
        )
        self.logs.append(log)
        replayer = Replayer(
            Catalogue(self.config.routes, self.config.channels), Masking.of((), ()), 100_000
        )
        return DeadLetterService(HeldGroup(self.client, self.config, hold), log, replayer)

    async def letter(self) -> DeadLetter:
        event = json.dumps({"event": {"type": "no.route", "id": "lost-1"}})
        fields = {"reason": "unroutable", "stage": "intake", "source_id": "1-1", "event": event}
        letter_id = (await self.client.xadd(KEYS.dead, fields)).decode()
        group = Consumer(self.client, self.config.redis, "test")
        return await find_dead_letter(group, ["teams:events"], letter_id)

    async def left(self) -> tuple[int, int]:
        """Return how many dead letters and how many notifications wait."""
        return await self.client.xlen(KEYS.dead), await self.client.xlen(
            KEYS.lane("sre", urgent=False)
        )

    def records(self) -> list[tuple[Any, ...]]:
        query = "SELECT action, who, why, edited, event_id FROM teams_dead_letter_actions"
        with psycopg.connect(self.config.database.url, row_factory=dict_row) as connection:
            return [tuple(row.values()) for row in connection.execute(query).fetchall()]


@pytest.fixture
async def services(redis_url: str, database_url: str) -> AsyncIterator[Services]:
    config = load_config(None, {"REDIS_URL": redis_url, "DATABASE_URL": database_url})
    made = Services(config, connect(config.redis), [])
    yield made
    for log in made.logs:
        await log.close()
    await close(made.client)


async def act(service: DeadLetterService, letter: DeadLetter, action: str, who: str) -> bool:
    if action == "discard":
        return await service.discard(letter, who=who, why=f"as {who} says")
    # Each corrects the event in a way of their own, so that the record must be of the one that was posted.
    edited = {**EVENT, "id": f"by-{who}"}
    replayed = await service.replay(letter, who=who, why=f"as {who} says", edited=edited)
    return replayed.done


def record(action: str, who: str) -> tuple[Any, ...]:
    replayed = action == "replay"
    return (action, who, f"as {who} says", replayed, f"by-{who}" if replayed else None)


@pytest.mark.parametrize("winner", ["first", "second"])
@pytest.mark.parametrize(
    ("first", "second"), [*itertools.product(("replay", "discard"), repeat=2)]
)
async def test_two_at_once_do_it_once_and_the_record_is_of_who_did(
    services: Services, first: str, second: str, winner: str
):
    letter = await services.letter()
    noted = {who: asyncio.Event() for who in ("first", "second")}
    go = {who: asyncio.Event() for who in ("first", "second")}

    def holding(who: str) -> Hold:
        async def hold() -> None:
            noted[who].set()
            await go[who].wait()

        return hold

    acts = {"first": first, "second": second}
    running = {}
    for who, action in acts.items():
        running[who] = asyncio.create_task(
            act(services.service(holding(who)), letter, action, who), name=who
        )
        await noted[who].wait()
    loser = "second" if winner == "first" else "first"
    go[winner].set()
    done = await running[winner]
    go[loser].set()
    late = await running[loser]

    assert (done, late) == (True, False)
    assert await services.left() == (0, 1 if acts[winner] == "replay" else 0)
    assert services.records() == [record(acts[winner], winner)]


async def away() -> None:
    raise StreamError("Redis is away")


async def at_once() -> None:
    """Hold nothing up."""


async def test_who_does_what_another_had_only_noted_is_in_the_record(services: Services):
    letter = await services.letter()
    with pytest.raises(StreamError):
        await act(services.service(away), letter, "replay", "first")
    assert services.records() == [record("replay", "first")]

    assert await act(services.service(at_once), letter, "replay", "second")

    assert services.records() == [record("replay", "second")]
    assert await services.left() == (0, 1)


async def test_what_is_done_but_not_noted_to_the_end_is_said(services: Services):
    letter = await services.letter()
    with pytest.raises(StreamError):
        await act(services.service(away), letter, "replay", "first")

    async def postgres_goes() -> None:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'notifier dlq' AND datname = current_database()"
        connection = await psycopg.AsyncConnection.connect(services.config.database.url)
        async with connection:
            await connection.execute(query)

    with pytest.raises(
        StoreError, match="it is done, but its record is that of an earlier try"
    ):
        await act(services.service(postgres_goes), letter, "replay", "second")
    assert await services.left() == (0, 1)
