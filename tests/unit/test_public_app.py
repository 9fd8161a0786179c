"""The public listener with its servers remembered in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestClient, TestServer

from notifier.escalation.acknowledge import ActionService
from notifier.escalation.rows import NotificationFacts
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


Start = Callable[..., Any]
OWN = {"Sec-Fetch-Site": "same-origin"}
"""As browsers send it with a form of ours."""


@pytest.fixture
def started(memory: Memory, limit: RequestLimit) -> Start:
    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[TestClient[Any, Any]]:
        dependencies = PublicDependencies(
            secrets=lambda: KEYS,
            actions=ActionService(memory, memory),
            clients=lambda: Clients([], ""),
            limit=limit,
            titles=lambda: TITLES,
            zone=lambda: ZoneInfo("Asia/Riyadh"),
            https=lambda: True,
            now=lambda: NOW,
        )
        app = create_public_app(replace(dependencies, **changes))
        async with TestClient(TestServer(app)) as client:
            yield client

    return start


@pytest.fixture
async def client(started: Start) -> AsyncIterator[TestClient[Any, Any]]:
    async with started() as found:
        yield found


async def get(client: TestClient[Any, Any], url: str, **headers: str) -> tuple[int, str]:
    async with client.get(url, headers=headers) as page:
        return page.status, await page.text()


async def post(
    client: TestClient[Any, Any], url: str, headers: Mapping[str, str] = OWN, **form: str
) -> tuple[int, str]:
    async with client.post(url, data=form, headers=headers) as page:
        return page.status, await page.text()


async def test_looks_and_forms_are_limited_by_link(
    client: TestClient[Any, Any], limit: RequestLimit
):
    limit.use(3)
    assert [(await get(client, link()))[0] for _ in range(31)] == [200] * 30 + [429]
    assert (await get(client, link("escalate")))[0] == 200
    forms = [(await post(client, link("escalate"), who=" "))[0] for _ in range(4)]
    assert forms == [422, 422, 422, 429]


async def test_a_page_cannot_be_framed_kept_or_referred_to(client: TestClient[Any, Any]):
    async with client.get(link()) as page:
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "unsafe" not in page.headers["Content-Security-Policy"]


async def test_links_of_an_older_key_keep_working(client: TestClient[Any, Any], memory: Memory):
    assert (await post(client, link(key=KEYS[1]), who="Sara"))[0] == 200
    assert memory.first[ID].who == "Sara"


async def test_forged_expired_and_unknown_links_change_nothing(
    client: TestClient[Any, Any], memory: Memory
):
    token = link().removeprefix("/a/")
    other_action = token.split(".")
    other_action[2] = "1"
    expired = "/a/" + action_token(KEYS[0], notification_id=ID, action="acknowledge", expires_at=1)  # fmt: skip
    for url, lang, status, words in (
        (f"/a/{token[:-1]}_", "en", 404, "Open it again from the card"),
        (f"/a/{'.'.join(other_action)}", "en", 404, "does not work"),
        (expired, "en", 410, "expired"),
        (expired, "ar-SA,en;q=0.5", 410, "انتهت صلاحية"),
        ("/readyz", "en", 404, "not found"),
    ):
        got, html = await post(client, url, {**OWN, "Accept-Language": lang}, who="Mallory")
        assert (got, words in html) == (status, True), url
    assert memory.first == {}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {**OWN, "Origin": "https://evil.example"}],
)  # fmt: skip
async def test_a_form_of_another_site_changes_nothing(
    client: TestClient[Any, Any], memory: Memory, headers: dict[str, str]
):
    status, html = await post(client, link(), headers, who="Mallory")
    assert (status, "another site" in html) == (403, True)
    assert memory.first == {}


async def test_an_older_browser_acts_by_its_origin(
    client: TestClient[Any, Any], started: Start, memory: Memory
):
    """Our pages give no referrer, so its Origin may be null."""
    assert (await post(client, link(), {"Origin": "null"}, who="Sara"))[0] == 200
    own = {"Origin": f"http://127.0.0.1:{client.port}"}
    assert (await post(client, link_to(OTHER, "escalate"), own, who="Sara"))[0] == 409
    memory.first.clear()
    proxies = [ip_network("127.0.0.1/32")]
    async with started(clients=lambda: Clients(proxies, "X-User")) as signed_on:
        signed_in = {"X-User": "sara@example.sa"}
        # Any site's page may be that null, and the proxy vouches for the name.
        assert (await post(signed_on, link(), {"Origin": "null", **signed_in}))[0] == 403
        assert "sara@example.sa" in (await get(signed_on, link(), **signed_in))[1]
        assert 'name="who"' not in (await get(signed_on, link(), **signed_in))[1]
        assert (await post(signed_on, link(), {**OWN, **signed_in}, who="Mallory"))[0] == 200
    assert (memory.first[ID].who, memory.first[ID].via) == ("sara@example.sa", "sign_on")


async def test_the_note_stays_on_the_page_that_asks_for_the_name(
    client: TestClient[Any, Any], memory: Memory
):
    status, html = await post(client, link(), who=" \u202e\x00 ", note="half <a> word")
    assert status == 422
    assert "half &lt;a&gt; word</textarea>" in html
    assert "Enter your name" in html
    assert memory.first == {}


async def test_a_form_that_is_too_large_is_refused(
    client: TestClient[Any, Any], memory: Memory
):
    assert (await post(client, link(), who="Sara", note="x" * 20_000))[0] == 413
    assert memory.first == {}


async def test_page_speaks_the_language_of_the_event(
    client: TestClient[Any, Any], memory: Memory
):
    memory.known[ID] = replace(FACTS, lang="ar")
    assert '<html lang="ar" dir="rtl">' in (await get(client, link()))[1]


async def test_redis_away_says_that_nothing_was_changed_and_the_same_link_works_later(
    client: TestClient[Any, Any], memory: Memory
):
    memory.redis_away = True
    async with client.post(link(), data={"who": "Sara"}, headers=OWN) as page:
        assert page.status == 503
        assert "Nothing was changed" in await page.text()
        assert page.headers["Strict-Transport-Security"]
    memory.redis_away = False
    assert (await post(client, link(), who="Sara"))[0] == 200


async def test_an_acknowledgement_in_postgres_counts(
    client: TestClient[Any, Any], memory: Memory
):
    memory.known = {
        ID: replace(
            FACTS, acknowledged_by="Omar", acknowledged_at=NOW, action_taken="acknowledge"
        )
    }
    status, html = await post(client, link(), who="Sara")
    assert (status, "Omar" in html) == (409, True)
    assert memory.first == {}


async def test_the_first_action_on_any_card_of_an_event_wins_and_the_second_hears_where(
    client: TestClient[Any, Any], memory: Memory
):
    assert (await post(client, link_to(FACTS, "retry_task"), who="Sara"))[0] == 200
    for action in ("discard_task", "retry_task", "acknowledge", "escalate"):
        _, shown = await get(client, link_to(OTHER, action))
        assert ("Sara" in shown, "Reliability" in shown, "<form" in shown) == (
            True,
            True,
            False,
        )
        status, shown = await post(client, link_to(OTHER, action), who="Omar")
        assert (status, "Sara" in shown, "Reliability" in shown) == (409, True, True), action
        assert "Retry the task" in shown

    [request] = memory.requests
    assert request["id"] == f"{event_key(FACTS.stream, FACTS.event_id)}:retry_task"


async def test_cards_of_an_event_know_of_each_other_while_postgres_is_away(
    client: TestClient[Any, Any], memory: Memory
):
    memory.postgres_away = True
    key = event_key(FACTS.stream, FACTS.event_id)

    assert (await post(client, link_to(FACTS, "acknowledge", event=key), who="Sara"))[0] == 200
    for mark in (key, None):
        memory.postgres_away = mark is not None
        url = link_to(OTHER, "acknowledge", event=mark)
        status, html = await post(client, url, who="Omar")
        assert (status, "Sara" in html) == (409, True)


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
        assert (await post(client, f"{path}?e={forged}", who="Mallory"))[0] == 404
    assert memory.first == {}


async def test_after_an_escalation_the_event_can_be_acknowledged_once_from_any_card(
    client: TestClient[Any, Any], memory: Memory
):
    assert (await post(client, link_to(FACTS, "escalate"), who="Omar"))[0] == 200
    memory.known |= {
        each.id: replace(each, escalated_by="Omar", escalated_at=NOW, escalated_to="pmo")
        for each in (FACTS, OTHER)
    }
    status, shown = await post(client, link_to(OTHER, "escalate"), who="Lina")
    assert (status, "Omar" in shown, "Project Office" in shown) == (409, True, True)

    for facts in (FACTS, OTHER):
        status, shown = await get(client, link_to(facts, "acknowledge"))
        assert status == 200
        assert ("Omar" in shown, "Project Office" in shown, "<form" in shown) == (True,) * 3
    assert (await post(client, link_to(FACTS, "acknowledge"), who="Omar"))[0] == 200
    status, shown = await post(client, link_to(OTHER, "acknowledge"), who="Sara")
    assert (status, "Reliability" in shown) == (409, True)


async def test_a_form_that_trickles_in_is_given_up(
    client: TestClient[Any, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(forms, "_FORM_SECONDS", 0.2)

    async def forever() -> AsyncIterator[bytes]:
        yield b"who=Sara"
        await never.wait()

    never = asyncio.Event()
    form = {"Content-Type": "application/x-www-form-urlencoded", **OWN}
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
async def test_a_body_that_is_not_a_form_asks_for_the_name(
    client: TestClient[Any, Any], memory: Memory, body: bytes, content_type: str
):
    async with client.post(
        link(), data=body, headers={"Content-Type": content_type, **OWN}
    ) as page:
        assert page.status == 422
    assert memory.first == {}
