"""Consumer groups on one Redis keep apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.keys import ACCEPTED, UNREADABLE
from notifier.broker.leases import Leases
from notifier.broker.rate_limit import RateLimits
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.config.models import RedisSettings
from notifier.errors import StreamError
from notifier.escalation.action_recorder import ActionRecorder
from notifier.escalation.actions import Actions
from notifier.events.action import Action, Via

ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


class Book:
    """Represents Postgres: keeps what was accepted."""

    def __init__(self) -> None:
        self.who: list[str] = []

    async def accept(self, actions: Sequence[Action]) -> None:
        self.who += [action.who for action in actions]

    @asynccontextmanager
    async def pending_action(self, **_: object) -> AsyncIterator[None]:
        yield None


@pytest.fixture
def settings(config: Config) -> dict[str, RedisSettings]:
    return {
        group: config.redis.model_copy(update={"group": group})
        for group in ("notifier", "staging")
    }


def by(who: str) -> Action:
    return Action(ID, "acknowledge", who, "", Via.PAGE, datetime.now(UTC))


def recorder(client: Redis, settings: RedisSettings) -> tuple[ActionRecorder, Book]:
    group, book = Consumer(client, settings, "one"), Book()
    made = ActionRecorder(
        group, cast("Any", book), cast("Any", None), cast("Any", None), leases=Leases(group, lease_seconds=15),
        redis_settings=settings, announced=tuple, now=lambda: datetime.now(UTC),
    )  # fmt: skip
    return made, book


async def recorded(client: Redis, settings: RedisSettings) -> list[str]:
    made, book = recorder(client, settings)
    while await made.step() or await made.step():
        pass
    return book.who


async def test_rate_limits_and_pauses_are_a_groups_own(
    client: Redis, settings: dict[str, RedisSettings]
):
    ours, theirs = (RateLimits(Streams(client, each)) for each in settings.values())

    for limits in (ours, theirs):
        assert await limits.reserve(
            "sre", 1, seconds_each=1000, burst=1, distance_seconds=0
        ) == [0]
    await theirs.pause("sre", 60)

    assert await ours.pauses(["sre"]) == [0]
    assert (await theirs.pauses(["sre"]))[0] > 0
    assert sorted(await client.keys("teams:*")) == [
        b"teams:pause:sre:staging", b"teams:rate:sre", b"teams:rate:sre:staging",
    ]  # fmt: skip


async def test_each_group_records_its_own_actions(
    client: Redis, settings: dict[str, RedisSettings]
):
    for number, (name, each) in enumerate(settings.items()):
        actions = Actions(Streams(client, each), remember_seconds=60)
        await actions.accept(Action(f"{ID[:-1]}{number}", "acknowledge", name, "", Via.PAGE, datetime.now(UTC)), None)  # fmt: skip

    assert await recorded(client, settings["staging"]) == ["staging"]
    assert await recorded(client, settings["notifier"]) == ["notifier"]
    assert await client.xlen(ACCEPTED) == 0


async def test_what_an_earlier_version_of_the_only_group_accepted_is_recorded(
    client: Redis, settings: dict[str, RedisSettings]
):
    # That version used one stream for all groups.
    await client.xgroup_create(ACCEPTED, "staging", id="0", mkstream=True)
    await client.xadd(ACCEPTED, cast("Any", by("Sara").fields()))

    assert await recorded(client, settings["staging"]) == ["Sara"]
    assert await client.xlen(ACCEPTED) == 0


async def test_what_the_default_group_accepted_is_left_to_it(
    client: Redis, settings: dict[str, RedisSettings]
):
    for group in ("staging", "notifier"):
        await client.xgroup_create(ACCEPTED, group, id="0", mkstream=True)
    await client.xadd(ACCEPTED, cast("Any", by("Sara").fields()))

    assert await recorded(client, settings["staging"]) == []
    assert await recorded(client, settings["notifier"]) == ["Sara"]


async def test_actions_are_recorded_while_another_program_keeps_the_key_of_unreadable_ones(
    client: Redis, settings: dict[str, RedisSettings]
):
    made, book = recorder(client, settings["notifier"])
    await made.step()
    made, book = recorder(client, settings["notifier"])
    await client.sadd(UNREADABLE, "a")  # type: ignore[misc]
    await client.xadd(ACCEPTED, cast("Any", by("Sara").fields()))

    with pytest.raises(StreamError, match=UNREADABLE):
        await made.step()

    assert book.who == ["Sara"]


async def test_all_that_an_earlier_version_could_not_read_is_put_back(
    client: Redis, settings: dict[str, RedisSettings]
):
    pipeline = client.pipeline(transaction=False)
    for number in range(250):
        pipeline.xadd(UNREADABLE, cast("Any", by(f"Sara {number}").fields()))
        pipeline.xadd(UNREADABLE, {"a": "1"})
    await pipeline.execute()

    assert len(await recorded(client, settings["notifier"])) == 250
    assert await client.xlen(UNREADABLE) == 250
