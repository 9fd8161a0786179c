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

from notifier.signing import action_token
from notifier.web import public
from notifier.web.clients import Clients
from notifier.web.desk import ActionDesk
from notifier.web.limits import PostLimit
from notifier.web.public import PublicParts, create_public_app
from tests.support.action_memory import FACTS, ID, NOW, Memory

KEYS = ["the key of today", "the key of yesterday"]


def link(action: str = "acknowledge", key: str = KEYS[0]) -> str:
    expires_at = int((NOW + timedelta(days=1)).timestamp())
    return "/a/" + action_token(key, notification_id=ID, action=action, expires_at=expires_at)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def client(memory: Memory) -> AsyncIterator[TestClient[Any, Any]]:
    parts = PublicParts(
        lambda: KEYS, ActionDesk(memory, memory), lambda: Clients([], ""), PostLimit(1000, lambda: 0.0), dict, lambda: ZoneInfo("Asia/Riyadh"), lambda: True,
        lambda: NOW,
    )  # fmt: skip
    async with TestClient(TestServer(create_public_app(parts))) as started:
        yield started


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


async def test_a_form_that_trickles_in_is_given_up(
    client: TestClient[Any, Any], memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(public, "_BODY_SECONDS", 0.2)

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
        (b'--x\r\nContent-Disposition: form-data; name="who"; filename="who"\r\n\r\nSara\r\n--x--\r\n', "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
async def test_what_is_no_form_asks_for_the_name(
    client: TestClient[Any, Any], memory: Memory, body: bytes, content_type: str
):
    async with client.post(link(), data=body, headers={"Content-Type": content_type}) as page:
        assert page.status == 422
    assert memory.first == {}
