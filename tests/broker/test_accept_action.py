"""An action is accepted once for all cards of its event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from notifier.broker.keys import ACCEPTED, action_key
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.errors import StreamError
from notifier.escalation.actions import Actions
from notifier.events.action import REQUESTS, Action, Matter, Via

AT = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)
EVENT, A, B = "event", "card-a", "card-b"
REQUEST = {"id": "event:retry_task"}


@pytest.fixture
def actions(client: Redis, config: Config) -> Actions:
    return Actions(Streams(client, config.redis), remember_seconds=1000)


def matter(of: str, *others: str, event: str | None = EVENT) -> Matter:
    return Matter(of, event, others)


def by(who: str, of: str, action: str = "acknowledge") -> Action:
    return Action(of, action, who, "", Via.PAGE, AT)


async def as_before(client: Redis, action: Action) -> None:
    """Settle a notification as the version before did, which knew no events."""
    await client.hset(action_key(action.notification_id), mapping=action.fields())  # type: ignore[misc]


async def test_one_action_of_an_event_is_accepted_and_asked_for_once(
    client: Redis, actions: Actions
):
    first = await actions.accept(by("Sara", A, "retry_task"), REQUEST, matter(A))
    second = await actions.accept(by("Omar", B, "discard_task"), REQUEST, matter(B))

    assert first is None
    assert second is not None
    assert (second.who, second.action, second.notification_id) == ("Sara", "retry_task", A)
    assert await client.xlen(ACCEPTED) == await client.xlen(REQUESTS) == 1
    assert 0 < await client.ttl(action_key(EVENT)) <= 1000


async def test_an_escalation_comes_once_and_anything_else_after_it(actions: Actions):
    assert await actions.accept(by("Omar", A, "escalate"), None, matter(A)) is None
    again = await actions.accept(by("Lina", B, "escalate"), None, matter(B))
    assert again is not None
    assert again.who == "Omar"
    assert await actions.accept(by("Sara", A), None, matter(A)) is None
    for action in ("acknowledge", "escalate"):
        late = await actions.accept(by("Lina", B, action), None, matter(B))
        assert late is not None
        assert late.who == "Sara"


async def test_an_escalation_may_be_escalated_once_more(actions: Actions):
    assert await actions.accept(by("Omar", A, "escalate"), None, matter(A, B)) is None
    told = Matter(B, EVENT, (A,), is_escalation=True)

    assert await actions.accept(by("Lina", B, "escalate"), None, told) is None
    assert await actions.accept(by("Sara", B, "escalate"), None, told) is not None
    assert await actions.accept(by("Sara", B), None, told) is None


@pytest.mark.parametrize("known", [EVENT, None])
async def test_what_an_earlier_version_settled_stays_settled(
    client: Redis, actions: Actions, known: str | None
):
    await as_before(client, by("Sara", B))

    first = await actions.accept(by("Omar", A), None, matter(A, A, B, event=known))
    own = await actions.accept(by("Omar", B), None, matter(B, event=known))

    assert first is not None
    assert own is not None
    assert first.who == own.who == "Sara"


async def test_an_earlier_version_finds_what_was_settled_under_every_card(actions: Actions):
    await actions.accept(by("Sara", A), None, matter(A, A, B))

    known = await actions.actions_on([A, B])
    assert {key: each.action for key, each in known.items()} == {
        A: "acknowledge",
        B: "acknowledge",
    }


async def test_what_an_earlier_version_escalated_can_be_acknowledged(
    client: Redis, actions: Actions
):
    await as_before(client, by("Omar", A, "escalate"))

    assert await actions.accept(by("Sara", A), None, matter(A, A, B)) is None


@pytest.mark.parametrize(
    "key", [REQUESTS, ACCEPTED, action_key(A), action_key(EVENT), action_key(B)]
)
async def test_nothing_is_written_when_a_key_has_another_type(
    client: Redis, actions: Actions, key: str
):
    await client.set(key, "x")

    with pytest.raises(StreamError):
        await actions.accept(by("Sara", A, "retry_task"), REQUEST, matter(A, A, B))

    assert await client.keys("*") == [key.encode()]


@pytest.mark.parametrize("key", [REQUESTS, ACCEPTED])
async def test_nothing_is_asked_or_accepted_when_the_last_id_of_a_stream_is_used_up(
    client: Redis, actions: Actions, key: str
):
    last = "18446744073709551615-18446744073709551615"
    await client.xadd(key, {"a": "1"}, id=last)
    await client.xdel(key, last)

    with pytest.raises(StreamError):
        await actions.accept(by("Sara", A, "retry_task"), REQUEST, matter(A))

    assert await client.xlen(REQUESTS) == await client.xlen(ACCEPTED) == 0
    assert await client.exists(action_key(A), action_key(EVENT)) == 0
    await client.delete(key)
    assert await actions.accept(by("Omar", A, "retry_task"), REQUEST, matter(A)) is None
    assert await client.xlen(REQUESTS) == await client.xlen(ACCEPTED) == 1


async def test_what_a_later_version_wrote_is_an_action_all_the_same(
    client: Redis, actions: Actions
):
    await client.hset(
        action_key(A), mapping={"who": "Sara", "action": "snooze", "moment": "now"}
    )  # type: ignore[misc]
    await client.hset(
        action_key(B), mapping=by("Omar", B).fields() | {"via": "watch", "new": "1"}
    )  # type: ignore[misc]

    found = list((await actions.actions_on([A, B, EVENT])).values())

    assert [(each.who, each.action) for each in found] == [
        ("Sara", "snooze"),
        ("Omar", "acknowledge"),
    ]


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", ""]
)
async def test_an_action_whose_time_is_none_is_still_one(
    client: Redis, actions: Actions, at: str
):
    await client.hset(action_key(A), mapping=by("Sara", A).fields() | {"at": at})  # type: ignore[misc]
    await client.hset(
        action_key(B), mapping=by("Omar", B).fields() | {"at": "2026-11-24T10:15:00"}
    )  # type: ignore[misc]

    found = list((await actions.actions_on([A, B])).values())

    assert [each.who for each in found] == ["Sara", "Omar"]
    assert min(found, key=lambda each: each.at).who == "Sara"
