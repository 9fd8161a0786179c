"""The callback: its requests, its signature and its answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from notifier.config import load_config
from notifier.config.secrets import load_secrets, secret_sources
from notifier.errors import SecretsError
from notifier.escalation.acknowledge import ActionService
from notifier.web.http.clients import Clients
from notifier.web.http.limits import RequestLimit
from notifier.web.public.callback import CallbackDependencies, add_callback, signed
from tests.support.action_memory import FACTS, ID, NOW, Memory

KEY = bytes(range(32))


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def client(memory: Memory) -> AsyncIterator[TestClient[Any, Any]]:
    app = web.Application(client_max_size=16_384)
    parts = CallbackDependencies(
        lambda: [b"another key of sixteen bytes", KEY], ActionService(memory, memory), memory, lambda: Clients([], ""),
        RequestLimit(50, lambda: 0.0), lambda: NOW,
    )  # fmt: skip
    add_callback(app, parts)
    async with TestClient(TestServer(app)) as started:
        yield started


def request(**changed: Any) -> dict[str, Any]:
    return {
        "id": "run-1", "timestamp": NOW.isoformat(), "notification_id": ID, "action": "acknowledge", "who": "Sara", "note": "on it",
    } | changed  # fmt: skip


def message(text: str, **changed: Any) -> dict[str, Any]:
    """Return a message of Teams, as its documentation shows it."""
    return {
        "type": "message", "id": "1485983408511", "timestamp": "2026-11-24T09:59:58.5110000Z", "serviceUrl": "https://smba.example/",
        "channelId": "msteams", "from": {"id": "29:1XJKJMvc5GBtc2JwZq0oj8tHZmzrQgFmB39ATiQWA85gQtHieVkKilBZ9XHoq9j7", "name": "عبدالله الحربي"},
        "conversation": {"isGroup": True, "id": "19:253b1f341670408fb6fe51050b6e5ceb@thread.skype"}, "text": text, "textFormat": "plain",
        "entities": [],
    } | changed  # fmt: skip


def header(body: bytes, key: bytes = KEY) -> dict[str, str]:
    return {
        "Authorization": "HMAC " + base64.b64encode(hmac.digest(key, body, "sha256")).decode()
    }


async def send(
    client: TestClient[Any, Any], members: Any, **options: Any
) -> tuple[int, dict[str, Any]]:
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    headers = options.get("headers", header(body))
    async with client.post("/callback", data=body, headers=headers) as answer:
        return answer.status, await answer.json()


def test_signature_of_microsofts_documentation_form_is_the_hmac_of_the_raw_bytes():
    body = b'{"text": "\xd8\xb9"}'
    digest = hmac.new(KEY, body, hashlib.sha256).digest()

    assert signed([KEY], body, "HMAC " + base64.b64encode(digest).decode(), "")
    assert signed([b"x" * 16, KEY], body, "", digest.hex())
    assert not signed([KEY], body + b" ", "HMAC " + base64.b64encode(digest).decode(), "")
    for authorization, hexed in (("", ""), ("HMAC ", ""), ("HMAC !", ""), ("Bearer x", ""), ("", "zz"), ("", "é")):  # fmt: skip
        assert not signed([KEY], body, authorization, hexed)


async def test_flow_acknowledges_once_and_gets_the_first_name(
    client: TestClient[Any, Any], memory: Memory
):
    status, answer = await send(client, request())
    assert (status, answer["status"], answer["acknowledged_by"]) == (200, "recorded", "Sara")
    assert (memory.first[ID].note, memory.first[ID].via) == ("on it", "callback")

    status, answer = await send(client, request(id="run-2", who="Omar"))
    found = (status, answer["status"], answer["acknowledged_by"])
    assert found == (409, "already_taken", "Sara")


async def test_a_callback_gets_the_first_name_from_another_card_of_the_event(
    client: TestClient[Any, Any], memory: Memory
):
    other = replace(FACTS, id="b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a08", channel="devops")
    memory.known[other.id] = other
    assert (await send(client, request(action="retry_task")))[0] == 200

    status, answer = await send(
        client, request(notification_id=other.id, action="discard_task", who="Omar")
    )
    assert (status, answer["acknowledged_by"], answer["action"], answer["channel"]) == (
        409, "Sara", "retry_task", "sre",
    )  # fmt: skip
    _, said = await send(client, message(f"discard {other.id}"))
    assert "Sara was first in sre: retry_task" in said["text"]
    assert len(memory.requests) == 1


async def test_unsigned_and_wrongly_signed_change_nothing(
    client: TestClient[Any, Any], memory: Memory
):
    body = json.dumps(request()).encode()
    for headers in (
        {},
        header(body, b"wrong key"),
        header(body + b" "),
        {"Authorization": "HMAC"},
    ):
        assert (await send(client, body, headers=headers))[0] == 401
    assert memory.first == {}


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
async def test_old_and_future_requests_are_refused(
    client: TestClient[Any, Any], memory: Memory, minutes: int
):
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    assert (await send(client, request(timestamp=at)))[0] == 401
    assert (await send(client, message(f"ack {ID}", timestamp=at)))[0] == 401
    assert memory.first == {}


async def test_replayed_request_does_nothing_again(client: TestClient[Any, Any]):
    assert (await send(client, request()))[0] == 200
    assert (await send(client, request()))[0] == 409
    assert "seen before" in (await send(client, request()))[1]["error"]


async def test_request_that_could_not_be_done_may_be_sent_again(
    client: TestClient[Any, Any], memory: Memory
):
    memory.redis_away = True
    assert (await send(client, request()))[0] == 503
    memory.redis_away = False
    assert (await send(client, request()))[0] == 200

    memory.postgres_away = True
    retry = request(notification_id="b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a08", action="retry_task")
    assert (await send(client, retry))[0] == 503
    other = replace(FACTS, id=retry["notification_id"], event_id="e-2")
    memory.known[other.id] = other
    memory.postgres_away = False
    assert (await send(client, retry))[0] == 200
    assert [each["action"] for each in memory.requests] == ["retry_task"]


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"[" * 16_000, 400, "not JSON"),
        (request(timestamp="0001-01-01T00:00:00+14:00"), 401, "timestamp"),
        (request(timestamp="9999-12-31T23:59:59-14:00"), 401, "timestamp"),
        (b"[]", 422, "body"),
        (request(action="delete"), 422, "action"),
        (request(notification_id="7"), 422, "notification_id"),
        (request(who="  "), 422, "who"),
        (request(timestamp="yesterday"), 422, "timestamp"),
        (request(extra=1), 422, "extra"),
        (request(notification_id="b5c9c5d4-52a6-5c0c-a1f4-000000000000"), 404, "no such notification"),
    ],
)  # fmt: skip
async def test_bad_requests_get_the_reason(
    client: TestClient[Any, Any], members: Any, status: int, words: str
):
    got, answer = await send(client, members)
    assert (got, words in answer["error"]) == (status, True)
    assert "Sara" not in answer["error"]


@pytest.mark.parametrize(
    ("text", "action", "note"),
    [
        (f"<at>Notifier</at>&nbsp;ack {ID}", "acknowledge", ""),
        (
            f"<p><at id='0'>Notifier</at> ACK {ID.upper()} I&#39;m on it</p>\n",
            "acknowledge",
            "I'm on it",
        ),
        (f"<at>Notifier</at> escalate {ID}", "escalate", ""),
        (f"<at>Notifier</at> retry {ID}\u00a0now", "retry_task", "now"),
    ],
)
async def test_message_in_teams_acts_in_the_name_of_its_writer(
    client: TestClient[Any, Any], memory: Memory, text: str, action: str, note: str
):
    status, answer = await send(client, message(text))

    assert (status, answer["type"]) == (200, "message")
    assert "Recorded" in answer["text"]
    taken = memory.first[ID]
    assert (taken.who, taken.action, taken.note, taken.via) == (
        "عبدالله الحربي",
        action,
        note,
        "outgoing_webhook",
    )


@pytest.mark.parametrize(
    "text", ["hello", "ack", "ack 12", f"delete {ID}", f"x ack {ID}", "", "<" * 4000]
)
async def test_message_that_is_no_command_gets_help(
    client: TestClient[Any, Any], memory: Memory, text: str
):
    status, answer = await send(client, message(text))
    assert (status, answer["type"]) == (200, "message")
    assert "ack &lt;notification id&gt;" in answer["text"]
    assert memory.first == {}


async def test_second_message_gets_the_first_name_and_markup_is_text(
    client: TestClient[Any, Any],
):
    await send(client, request(who="<b>Sara</b>"))
    _, answer = await send(client, message(f"ack {ID}"))
    assert "&lt;b&gt;Sara&lt;/b&gt; was first" in answer["text"]


async def test_too_many_and_too_large_are_refused(client: TestClient[Any, Any]):
    assert (await send(client, b"x" * 20_000))[0] == 413
    statuses = [(await send(client, b"{", headers={}))[0] for _ in range(51)]
    assert statuses[-1] == 429


def test_tokens_are_checked_and_several_teams_may_have_their_own():
    config = load_config(None, {})
    token = base64.b64encode(KEY).decode()
    secrets = load_secrets(
        config, secret_sources({"TEAMS_OUTGOING_WEBHOOK_TOKEN": f"{token}, {token}"}, None)
    )
    assert len(secrets.callback_tokens) == 2
    assert token not in repr(secrets)
    for bad in ("secret!", "c2hvcnQ="):
        with pytest.raises(SecretsError, match="TEAMS_OUTGOING_WEBHOOK_TOKEN") as caught:
            load_secrets(config, secret_sources({"TEAMS_OUTGOING_WEBHOOK_TOKEN": bad}, None))
        assert bad not in str(caught.value)
