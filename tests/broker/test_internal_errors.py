"""An unforeseen error ends one entry, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.asyncio import Redis

from notifier.cards.renderer import Card, CardRenderer
from notifier.events.notification import Notification, encode
from notifier.events.outcome import Attempt
from notifier.events.routing import Catalogue
from notifier.pipeline.delivery.poster import Poster
from notifier.pipeline.delivery.result import DeliveryResult
from tests.support.backlog import NORMAL, STREAM, calm, publish
from tests.support.broker import Broker
from tests.support.receiver import WebhookReceiver
from tests.support.stages import ONE, Stages, notifications

SECRET = "Sara-1088123456"
"""An exception may hold it, and it must not be shown."""


@pytest.fixture
def url(webhook_receiver: WebhookReceiver) -> str:
    return webhook_receiver.url("sre")


@pytest.fixture
def faulty_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the card of CLM-1 fail, and that of any digest with it."""
    rendered = CardRenderer.render

    def render(self: CardRenderer, notification: Notification) -> Card:
        if "CLM-1" in json.dumps(notification.data):
            raise LookupError(SECRET)
        return rendered(self, notification)

    monkeypatch.setattr(CardRenderer, "render", render)


def claims(webhook_receiver: WebhookReceiver) -> list[str]:
    bodies = [request.body.decode() for request in webhook_receiver.requests]
    return sorted(f"CLM-{n}" for n in range(10) for body in bodies if f"CLM-{n}" in body)


async def test_one_whose_card_fails_is_a_dead_letter_with_the_place_and_no_value(
    stages: Stages, webhook_receiver: WebhookReceiver, url: str, faulty_card: None
):
    await stages.put(*notifications(3))
    async with stages.lane(url) as lane:
        await lane.step()

    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["event_id"]) == ("internal_error", "e1")
    assert "LookupError at notifier/" in letter["detail"]
    assert SECRET not in json.dumps(letter)
    assert claims(webhook_receiver) == ["CLM-0", "CLM-2"]
    statuses = {each["event_id"]: each["status"] for each in await stages.outcomes()}
    assert statuses == {"e0": "delivered", "e1": "dead_lettered", "e2": "delivered"}


async def test_of_a_digest_whose_card_fails_only_the_one_at_fault_ends(
    client: Redis,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
    faulty_card: None,
):
    limit = stages.config.rate_limit.model_copy(update={"min_interval_seconds": 0})
    await stages.put(*notifications(4))
    async with stages.lane(url, rate_limit=limit, digest_threshold=2, digest_size=10) as lane:
        await lane.step()

    assert [each["event_id"] for each in await stages.dead_letters()] == ["e1"]
    assert claims(webhook_receiver) == ["CLM-0", "CLM-2", "CLM-3"]
    assert await client.xlen(NORMAL) == 0


async def test_one_that_fails_after_its_post_is_not_posted_again(
    client: Redis,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
):
    def is_transient(attempt: Attempt) -> None:
        raise LookupError(SECRET)

    monkeypatch.setattr("notifier.pipeline.delivery.poster.is_transient", is_transient)
    webhook_receiver.answer(400)
    limit = stages.config.rate_limit.model_copy(update={"min_interval_seconds": 0})
    await stages.put(*notifications(3))
    async with stages.lane(url, rate_limit=limit, digest_threshold=2, digest_size=10) as lane:
        await lane.step()

    assert len(webhook_receiver.requests) == 1
    letters = await stages.dead_letters()
    assert {(each["reason"], each["attempts"]) for each in letters} == {("internal_error", "1")}
    assert len(letters) == 3
    assert await client.xlen(NORMAL) == 0


async def test_a_card_that_was_accepted_counts_as_delivered_whatever_fails_then(
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
):
    def note(*_: object) -> None:
        raise LookupError(SECRET)

    monkeypatch.setattr(Poster, "note", note)
    await stages.put(ONE)
    async with stages.lane(url) as lane:
        await lane.step()

    assert [each["status"] for each in await stages.outcomes()] == ["delivered"]


async def test_an_outcome_that_cannot_be_written_leaves_the_others_of_its_card_alone(
    client: Redis,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
):
    written = DeliveryResult.move

    def move(
        self: DeliveryResult, entry: Any, notification: Notification, *rest: Any, **more: Any
    ):
        if notification.event_id == "e1":
            raise LookupError(SECRET)
        return written(self, entry, notification, *rest, **more)

    monkeypatch.setattr(DeliveryResult, "move", move)
    limit = stages.config.rate_limit.model_copy(update={"min_interval_seconds": 0})
    await stages.put(*notifications(3))
    async with stages.lane(url, rate_limit=limit, digest_threshold=2, digest_size=10) as lane:
        await lane.step()

    assert len(webhook_receiver.requests) == 1
    [letter] = await stages.dead_letters()
    assert letter["reason"] == "internal_error"
    assert json.loads(letter["event"])["event_id"] == "e1"
    assert {each["event_id"] for each in await stages.outcomes()} == {"e0", "e2"}
    assert await client.xlen(NORMAL) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"data": ["a"]}, {"data": None}, {"stakeholders": "sre"}, {"stakeholders": [1]}, {"correlation_id": 7},
        {"event_time": None}, {"tried_before": "1"}, {"tried_before": 10**400}, {"tried_before": -1}, {"tried_before": True},
        {"endings": [1]}, {"endings": {}}, {"priority": ["LOW"]}, {"lang": {}}, {"source": 1}, {"card": ["generic"]},
    ],
    ids=str,
)  # fmt: skip
async def test_an_entry_with_the_right_names_and_wrong_types_is_a_dead_letter(
    client: Redis,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
    url: str,
    changes: dict[str, Any],
):
    record = json.loads(encode(ONE)) | changes
    await stages.put(*notifications(2))
    await client.xadd(NORMAL, {"notification": json.dumps(record)})
    async with stages.lane(url) as lane:
        await lane.step()

    assert [each["reason"] for each in await stages.dead_letters()] == ["invalid_event"]
    assert claims(webhook_receiver) == ["CLM-0", "CLM-1"]
    assert await client.xlen(NORMAL) == 0


async def test_an_event_that_cannot_be_routed_for_an_unforeseen_reason_leaves_the_others_alone(
    client: Redis,
    broker: Broker,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
):
    route = Catalogue.route

    def failing(self: Catalogue, event: Any, data: Any) -> Any:
        if event.id == "n1":
            raise LookupError(SECRET)
        return route(self, event, data)

    monkeypatch.setattr(Catalogue, "route", failing)
    group = broker.group("one")
    await group.ensure([STREAM])
    await publish(client, [calm(number) for number in range(3)])
    await stages.intake(group).step()

    [letter] = await stages.dead_letters()
    assert (letter["reason"], letter["stage"]) == ("internal_error", "intake")
    assert "n1" in letter["event"]
    assert SECRET not in letter["detail"]
    assert await client.xlen(NORMAL) == 2
    assert (await client.xpending(STREAM, "notifier"))["pending"] == 0
