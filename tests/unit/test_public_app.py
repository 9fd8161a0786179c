"""The public listener with its servers remembered in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestClient, TestServer

from notifier.escalation.acknowledge import ActionService
from notifier.escalation.action_repository import NotificationFacts
from notifier.events.notification import event_key
from notifier.events.signing import action_token, event_mark
from notifier.web.http import forms
from notifier.web.http.clients import Clients
from notifier.web.http.limits import RequestLimit
from notifier.web.public.app import PublicDependencies, create_public_app
from tests.support.action_memory import FACTS, ID, NOW, Memory

TITLES = {"sre": "Reliability", "devops": "Delivery Team", "pmo": "Project Office"}
KEYS = ["the key of today", "the key of yesterday"]


def link(action: str = "acknowledge", key: str = KEYS[0]) -> str:
    expires_at = int((NOW + timedelta(days=1)).timestamp())
    return "/a/" + action_token(key, notification_id=ID, action=action, expires_at=expires_at)


OTHER = replace(FACTS, id="0b5c9c5d-52a6-5c0c-a1f4-1a4f28d41a07", channel="devops")


def link_to(facts: NotificationFacts, action: str, *, event: str | None = None) -> str:
    expires_at = int((NOW + timedelta(days=1)).timestamp())
    token = action_token(
        KEYS[0], notification_id=facts.id, action=action, expires_at=expires_at
    )
    mark = "" if event is None else f"?e={event_mark(KEYS[0], token, event)}"
    return f"/a/{token}{mark}"


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    memory.known[OTHER.id] = OTHER
    return memory


@pytest.fixture
def limit() -> RequestLimit:
    return RequestLimit(1000, lambda: 0.0)


@pytest.fixture
async def client(memory: Memory, limit: RequestLimit) -> AsyncIterator[TestClient[Any, Any]]:
    parts = PublicDependencies(
        lambda: KEYS, ActionService(memory, memory), lambda: Clients([], ""), limit, lambda: TITLES, lambda: ZoneInfo("Asia/Riyadh"), lambda: True,
        lambda: NOW,
    )  # fmt: skip
    own = {"Sec-Fetch-Site": "same-origin"}
    async with TestClient(TestServer(create_public_app(parts)), headers=own) as started:
        yield started


async def test_looking_at_a_page_is_limit_key_link(
    client: TestClient[Any, Any], limit: RequestLimit
):
    limit.use(3)
    answers = [(await client.get(link())).status for _ in range(31)]

    assert answers == [200] * 30 + [429]
    assert (await client.get(link("escalate"))).status == 200


async def test_links_of_an_older_key_keep_working(client: TestClient[Any, Any], memory: Memory):
    async with client.post(link(key=KEYS[1]), data={"who": "Sara"}) as page:
        assert page.status == 200
    assert memory.first[ID].who == "Sara"


async def test_redis_away_says_that_nothing_was_changed_and_the_same_link_works_later(
    client: TestClient[Any, Any], memory: Memory
):
    memory.redis_away = True
    async with client.post(link(), data={"who": "Sara"}) as page:
        assert page.status == 503
        assert "Nothing was changed" in await page.text()
        assert page.headers["Strict-Transport-Security"]
    memory.redis_away = False
    async with client.post(link(), data={"who": "Sara"}) as page:
        assert page.status == 200


async def test_what_was_taken_in_postgres_is_taken(
    client: TestClient[Any, Any], memory: Memory
):
    memory.known = {
        ID: replace(
            FACTS, acknowledged_by="Omar", acknowledged_at=NOW, action_taken="acknowledge"
        )
    }
    async with client.post(link(), data={"who": "Sara"}) as page:
        assert page.status == 409
        assert "Omar" in await page.text()
    assert memory.first == {}


async def test_the_first_action_on_any_card_of_an_event_wins_and_the_second_hears_where(
    client: TestClient[Any, Any], memory: Memory
):
    async with client.post(link_to(FACTS, "retry_task"), data={"who": "Sara"}) as page:
        assert page.status == 200
    for action in ("discard_task", "retry_task", "acknowledge", "escalate"):
        async with client.get(link_to(OTHER, action)) as page:
            shown = await page.text()
        assert ("Sara" in shown, "Reliability" in shown, "<form" in shown) == (
            True,
            True,
            False,
        )
        async with client.post(link_to(OTHER, action), data={"who": "Omar"}) as page:
            shown, status = await page.text(), page.status
        assert (status, "Sara" in shown, "Reliability" in shown) == (409, True, True), action
        assert "Retry the task" in shown

    [request] = memory.requests
    assert request["id"] == f"{event_key(FACTS.stream, FACTS.event_id)}:retry_task"


async def test_cards_of_an_event_know_of_each_other_while_postgres_is_away(
    client: TestClient[Any, Any], memory: Memory
):
    memory.postgres_away = True
    key = event_key(FACTS.stream, FACTS.event_id)

    async with client.post(
        link_to(FACTS, "acknowledge", event=key), data={"who": "Sara"}
    ) as page:
        assert page.status == 200
    for mark in (key, None):
        memory.postgres_away = mark is not None
        url = link_to(OTHER, "acknowledge", event=mark)
        async with client.post(url, data={"who": "Omar"}) as page:
            assert (page.status, "Sara" in await page.text()) == (409, True)


async def test_a_link_to_another_event_than_it_was_signed_for_does_not_work(
    client: TestClient[Any, Any], memory: Memory
):
    memory.postgres_away = True
    good = link_to(FACTS, "acknowledge", event=event_key("s", "e-1"))
    other = link_to(OTHER, "acknowledge", event=event_key("s", "e-2"))
    path, mark = good.split("?e=")
    for forged in (other.split("?e=")[1], mark[:-1] + "_", "f" + mark[1:], "", "x"):
        if f"{path}?e={forged}" == good:
            continue
        async with client.post(f"{path}?e={forged}", data={"who": "Mallory"}) as page:
            assert page.status == 404
    assert memory.first == {}


async def test_after_an_escalation_the_event_can_be_acknowledged_once_from_any_card(
    client: TestClient[Any, Any], memory: Memory
):
    async with client.post(link_to(FACTS, "escalate"), data={"who": "Omar"}) as page:
        assert page.status == 200
    memory.known |= {
        each.id: replace(each, escalated_by="Omar", escalated_at=NOW, escalated_to="pmo")
        for each in (FACTS, OTHER)
    }
    async with client.post(link_to(OTHER, "escalate"), data={"who": "Lina"}) as page:
        shown = await page.text()
        assert (page.status, "Omar" in shown, "Project Office" in shown) == (409, True, True)

    for facts in (FACTS, OTHER):
        async with client.get(link_to(facts, "acknowledge")) as page:
            shown = await page.text()
        assert page.status == 200
        assert ("Omar" in shown, "Project Office" in shown, "<form" in shown) == (True,) * 3
    async with client.post(link_to(FACTS, "acknowledge"), data={"who": "Omar"}) as page:
        assert page.status == 200
    async with client.post(link_to(OTHER, "acknowledge"), data={"who": "Sara"}) as page:
        assert (page.status, "Reliability" in await page.text()) == (409, True)


async def test_a_form_that_trickles_in_is_given_up(
    client: TestClient[Any, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(forms, "_FORM_SECONDS", 0.2)

    async def forever() -> AsyncIterator[bytes]:
        yield b"who=Sara"
        await never.wait()

    never = asyncio.Event()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with client.post(link(), data=forever(), headers=form) as page:
        assert page.status == 408
        assert "too slow" in await page.text()
    assert memory.first == {}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xfe=1", "application/x-www-form-urlencoded"),
        (b"who=Sara", "text/plain"),
        (b"who=Sara", "application/x-www-form-urlencoded; charset=klingon"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b"--x\r\n" + b"A: b\r\n" * 2000 + b"\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="who"; filename="who"\r\n\r\nSara\r\n--x--\r\n', "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
async def test_what_is_no_form_asks_for_the_name(
    client: TestClient[Any, Any], memory: Memory, body: bytes, content_type: str
):
    async with client.post(link(), data=body, headers={"Content-Type": content_type}) as page:
        assert page.status == 422
    assert memory.first == {}
