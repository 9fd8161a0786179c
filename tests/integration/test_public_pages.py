"""A person acts from a card: the link opens a page, its form acts, and the first one wins."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis
from aiohttp import web

from notifier.config import load_config
from notifier.events.notification import event_key
from notifier.events.signing import action_token
from notifier.sandbox.servers import start_postgres
from notifier.store.migrations import migrate_up
from notifier.web.http.listener import bound_connections
from tests.support.action_pages import (
    acknowledged,
    get,
    links,
    links_on,
    links_with,
    post,
    public,
    requests,
)
from tests.support.daemons import SECRET, Daemons
from tests.support.ports import quiet_port
from tests.support.state import rows, xadd
from tests.support.waiting import until


async def test_opening_the_link_changes_nothing_and_the_form_acknowledges_once(
    daemons: Daemons,
):
    found = await links(
        daemons,
        type="nphies.claim.rejected",
        claim_id="CLM-1",
        patient_id="PAT-KLMNOPQ",
        rejection_reason="PAT-KLMNOPQ unknown",
    )
    url = found["Acknowledge"]
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "GET"):
            async with session.request(method, url) as page:
                assert page.status == (405 if method in ("OPTIONS", "PUT") else 200)
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]
                assert "unsafe" not in page.headers["Content-Security-Policy"]
                assert page.headers["Cache-Control"] == "no-store"
                assert page.headers["Referrer-Policy"] == "no-referrer"
                html = await page.text()
    assert "corr-7" in html
    assert "CLM-1" in html
    assert "KLMN" not in html
    with redis.Redis.from_url(daemons.redis_url) as client:
        assert client.keys("{teams:actions}:*") in ([], [b"{teams:actions}:accepted"])
        assert client.xlen("{teams:actions}:accepted") == 0

    status, html = await post(url, who="<b>Sara</b>", note="on it\nnow")
    assert status == 200
    assert "<b>Sara" not in html
    assert (await post(url, who="<b>Sara</b>"))[0] == 200
    status, html = await post(url, who="Omar")
    assert status == 409
    assert "Sara" in html
    assert "Sara" in (await get(url))[1]

    await until(lambda: acknowledged(daemons) is not None)
    [row] = rows(daemons.database_url)
    assert (row["acknowledged_by"], row["action_taken"], row["action_data"]) == (
        "<b>Sara</b>",
        "acknowledge",
        {"note": "on it\nnow", "via": "page"},
    )


async def test_the_log_names_no_person_no_note_and_no_link(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    url = found["Acknowledge"]
    await get(url)
    await post(url, who="Sara Al-Harbi", note="patient Ahmad")
    await post(url + "x", who="Sara Al-Harbi")
    await until(lambda: acknowledged(daemons) is not None)
    await until(lambda: "action_recorded" in daemons.log())

    for secret in ("Sara", "Ahmad", url.rpartition("/")[2], url.rpartition(".")[2]):
        assert secret not in daemons.log()


async def test_callback_of_a_flow_acknowledges_and_is_not_there_without_its_token(
    daemons: Daemons,
):
    token = base64.b64encode(b"sixteen bytes or").decode()
    found = await links(
        daemons, env={"TEAMS_OUTGOING_WEBHOOK_TOKEN": token}, type="backup.failed", service="x"
    )
    [row] = rows(daemons.database_url)
    body = json.dumps(
        {"id": "1", "timestamp": datetime.now(UTC).isoformat(), "notification_id": str(row["id"]), "action": "acknowledge", "who": "Sara"}
    ).encode()  # fmt: skip
    signature = base64.b64encode(hmac.digest(b"sixteen bytes or", body, "sha256")).decode()
    url = found["Acknowledge"].partition("/a/")[0] + "/callback"
    async with aiohttp.ClientSession() as session:
        for status in (200, 409):
            headers = {"Authorization": f"HMAC {signature}"}
            async with session.post(url, data=body, headers=headers) as answer:
                assert answer.status == status
                assert answer.content_type == "application/json"
    await until(lambda: acknowledged(daemons) is not None)
    assert rows(daemons.database_url)[0]["action_data"] == {"via": "callback"}
    assert token not in daemons.log()

    settings = public()
    await daemons.start("--stages", "delivery", **settings)
    assert (await post(settings["TEAMS_PUBLIC__URL"] + "/callback"))[0] == 404


async def test_several_processes_serve_the_same_public_address(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    bind = found["Acknowledge"].split("/")[2]
    await daemons.start("--stages", "delivery", TEAMS_PUBLIC__BIND=bind)

    assert (await get(found["Acknowledge"]))[0] == 200


async def test_many_people_at_once_have_one_winner_and_all_hear_the_same_name(daemons: Daemons):
    found = await links(
        daemons,
        type="celery.task.failed",
        task_name="submit",
        task_id="t-1",
        retry_count="3",
        max_retries="3",
    )
    [title] = [title for title in found if re.search("retry", title, re.IGNORECASE)]

    answers = await asyncio.gather(*(post(found[title], who=f"P{n}") for n in range(20)))

    assert sorted(status for status, _ in answers) == [200] + [409] * 19
    [request] = requests(daemons.redis_url)
    winner = request["requested_by"]
    assert all(re.search(rf">{winner}<", html) for _, html in answers)
    await until(lambda: acknowledged(daemons) is not None)
    assert rows(daemons.database_url)[0]["acknowledged_by"] == winner


async def test_name_is_needed_and_the_note_is_kept_on_the_page(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")

    status, html = await post(found["Acknowledge"], who=" \u202e\x00 ", note="half <a> word")

    assert status == 422
    assert "half &lt;a&gt; word</textarea>" in html
    assert "Enter your name" in html
    assert acknowledged(daemons) is None


async def test_retry_goes_to_the_claims_workers_with_what_and_who_asked(daemons: Daemons):
    found = await links(
        daemons, type="celery.task.failed", task_name="submit", task_id="task-9", patient_id="PAT-KLMNOPQ",
        retry_count="3", max_retries="3",
    )  # fmt: skip
    [title] = [title for title in found if re.search("retry", title, re.IGNORECASE)]
    for _ in range(2):
        assert (await post(found[title], who="Sara", note="again please"))[0] == 200

    [row] = rows(daemons.database_url)
    [request] = requests(daemons.redis_url)
    assert json.loads(request.pop("subject")) == {"task_name": "submit", "task_id": "task-9"}
    assert request.pop("requested_at")
    assert request == {
        "id": f"{event_key('teams:events', row['event_id'])}:retry_task", "action": "retry_task", "notification_id": str(row["id"]), "event_id": row["event_id"],
        "event_type": "celery.task.failed", "correlation_id": "corr-7", "channel": "sre", "requested_by": "Sara", "via": "page",
        "note": "again please",
    }  # fmt: skip


async def test_request_that_redis_refuses_is_not_taken_and_can_be_made_again(daemons: Daemons):
    found = await links(
        daemons,
        type="celery.task.failed",
        task_name="submit",
        task_id="t",
        retry_count="3",
        max_retries="3",
    )
    [url] = [url for title, url in found.items() if re.search("retry", title, re.IGNORECASE)]
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.set("teams:actions", "not a stream")
        assert (await post(url, who="Sara"))[0] == 503
        client.delete("teams:actions")
    assert "Retry the task" in (await get(url))[1]
    assert (await post(url, who="Omar"))[0] == 200

    assert [request["requested_by"] for request in requests(daemons.redis_url)] == ["Omar"]


async def test_action_in_the_hands_of_a_process_that_is_killed_reaches_postgres(
    daemons: Daemons, open_folder: Path
):
    lease = {"TEAMS_REDIS__LEASE_SECONDS": "1"}
    with start_postgres(open_folder, port=quiet_port()) as server:
        await asyncio.to_thread(migrate_up, server.url)
        found = await links_with(daemons, server.url, **lease)
    assert (await post(found["Acknowledge"], who="Sara"))[0] == 200

    def in_hand() -> bool:
        with redis.Redis.from_url(daemons.redis_url) as client:
            summary: Any = client.xpending("{teams:actions}:accepted", "notifier")
            return bool(summary["pending"])

    await until(in_hand)
    daemons.processes[0].kill()
    with start_postgres(open_folder, port=server.port) as again:
        await daemons.start("--stages", "recorder", DATABASE_URL=again.url, **lease)
        await until(lambda: [row["acknowledged_by"] for row in rows(again.url)] == ["Sara"])


@pytest.mark.parametrize(
    "fault",
    [
        {"notification_id": "x"},
        {"action": "pay"},
        {"who": "a\0b"},
        {"at": "soon"},
        {"at": "0001-01-01T00:00+14:00"},
    ],
)
async def test_what_is_no_action_does_not_hold_up_those_of_people(
    daemons: Daemons, fault: dict[str, str]
):
    found = await links(daemons, type="backup.failed", service="postgres")
    foreign = {
        "notification_id": str(uuid.uuid4()), "action": "acknowledge", "who": "x", "note": "", "via": "page",
        "at": "2026-11-24T10:15:00+00:00",
    }  # fmt: skip
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xadd("{teams:actions}:accepted", {**foreign, **fault})  # type: ignore[dict-item]

    assert (await post(found["Acknowledge"], who="Sara"))[0] == 200

    await until(
        lambda: [row["acknowledged_by"] for row in rows(daemons.database_url)] == ["Sara"], 10
    )
    assert "action_unreadable" in daemons.log()
    with redis.Redis.from_url(daemons.redis_url) as client:
        kept = client.xlen("{teams:actions}:unreadable")
    written = rows(daemons.database_url, "SELECT action FROM teams_actions ORDER BY action")
    expected = (0, ["acknowledge", "pay"]) if "action" in fault else (1, ["acknowledge"])
    assert (kept, [row["action"] for row in written]) == expected


async def test_an_acknowledgement_of_a_later_version_is_recorded(daemons: Daemons):
    await links(daemons, type="backup.failed", service="postgres")
    later = {
        "notification_id": str(rows(daemons.database_url)[0]["id"]), "action": "acknowledge", "who": "Sara", "note": "",
        "via": "watch", "at": "2026-11-24T10:15:00+00:00", "device": "7",
    }  # fmt: skip
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xadd("{teams:actions}:accepted", later)  # type: ignore[arg-type]

    await until(lambda: acknowledged(daemons) is not None)
    assert rows(daemons.database_url)[0]["action_data"] == {"via": "watch"}


async def test_what_another_version_could_not_read_is_taken_up_at_the_next_start(
    daemons: Daemons,
):
    await links(daemons, type="backup.failed", service="postgres")
    kept = {
        "notification_id": str(rows(daemons.database_url)[0]["id"]), "action": "acknowledge", "who": "Sara", "note": "",
        "via": "page", "at": "2026-11-24T10:15:00+00:00",
    }  # fmt: skip
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xadd("{teams:actions}:unreadable", kept)  # type: ignore[arg-type]
    await daemons.start("--stages", "recorder")

    await until(lambda: acknowledged(daemons) is not None)


async def test_three_people_in_three_channels_make_one_request_and_hear_of_the_first(
    daemons: Daemons,
):
    await daemons.start(**public())
    xadd(daemons.redis_url, {
        "type": "celery.task.failed", "stakeholders": "sre,devops,cloudops", "task_name": "submit", "task_id": "t-1",
        "retry_count": "3", "max_retries": "3",
    })  # fmt: skip
    cards = await daemons.receiver.wait_for(3)
    await until(lambda: len(rows(daemons.database_url)) == 3)
    found = {card.path: links_on(card.body) for card in cards}
    wanted = {"/sre": "Retry", "/devops": "Discard", "/cloudops": "Retry"}
    urls = [
        next(url for title, url in found[path].items() if word in title)
        for path, word in wanted.items()
    ]

    answers = [
        await post(url, who=who) for url, who in zip(urls, ("A1", "B2", "C3"), strict=True)
    ]

    assert [status for status, _ in answers] == [200, 409, 409]
    assert all(">A1<" in html and "Retry the task" in html for _, html in answers)
    [request] = requests(daemons.redis_url)
    assert (request["requested_by"], request["channel"]) == ("A1", "sre")
    assert (await post(found["/devops"]["Acknowledge"], who="D4"))[0] == 409

    def by_channel() -> dict[str, Any]:
        return {
            row["channel"]: row["acknowledged_by"]
            for row in rows(daemons.database_url)
            if row["event_type"] == "celery.task.failed"
        }

    await until(lambda: by_channel() == {"sre": "A1", "devops": None, "cloudops": None})
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.delete(*client.keys("{teams:actions}:taken:*"))  # type: ignore[misc]
    status, html = await post(found["/devops"]["Acknowledge"], who="D4")
    assert (status, ">A1<" in html) == (409, True)


async def test_forged_expired_and_foreign_requests_change_nothing(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    good = found["Acknowledge"]
    base, _, token = good.rpartition("/")
    row_id = str(rows(daemons.database_url)[0]["id"])
    expired = action_token(SECRET, notification_id=row_id, action="acknowledge", expires_at=1)
    other_action = token.split(".")
    other_action[2] = "1"
    for url, headers, status, words in (
        (f"{base}/{token[:-1]}_", {}, 404, "Open it again from the card"),
        (f"{base}/{'.'.join(other_action)}", {}, 404, "does not work"),
        (f"{base}/{expired}", {}, 410, "expired"),
        (f"{base}/{expired}", {"Accept-Language": "ar-SA,en;q=0.5"}, 410, "انتهت صلاحية"),
        (good, {"Sec-Fetch-Site": "cross-site"}, 403, "another site"),
        (base.removesuffix("/a") + "/readyz", {}, 404, "not found"),
    ):
        got, html = await post(url, headers, who="Mallory")
        assert (got, words in html) == (status, True), url
    assert acknowledged(daemons) is None


async def test_a_form_that_is_too_large_is_refused(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")

    assert (await post(found["Acknowledge"], who="Sara", note="x" * 20_000))[0] == 413
    assert acknowledged(daemons) is None


async def test_too_many_forms_are_asked_to_wait(daemons: Daemons):
    found = await links(
        daemons, env={"TEAMS_PUBLIC__POSTS_PER_MINUTE": "3"}, type="backup.failed", service="x"
    )

    answers = [(await post(found["Acknowledge"], who=" "))[0] for _ in range(4)]

    assert answers == [422, 422, 422, 429]


async def test_name_comes_from_the_sign_on_proxy_but_from_nobody_else(daemons: Daemons):
    trusted = {
        "TEAMS_PUBLIC__USER_HEADER": "X-Forwarded-User",
        "TEAMS_PUBLIC__TRUSTED_PROXIES": "127.0.0.1",
    }
    found = await links(daemons, env=trusted, type="backup.failed", service="postgres")
    url, signed_in = found["Acknowledge"], {"X-Forwarded-User": "sara@example.sa"}
    status, html = await get(url, signed_in)
    assert 'name="who"' not in html
    assert "sara@example.sa" in html

    status, html = await post(url, signed_in, who="Mallory")
    assert status == 200
    await until(lambda: acknowledged(daemons) is not None)
    [row] = rows(daemons.database_url)
    assert row["acknowledged_by"] == "sara@example.sa"
    assert row["action_data"] == {"via": "sign_on"}


async def test_header_is_not_believed_from_an_address_that_is_no_trusted_proxy(
    daemons: Daemons,
):
    env = {
        "TEAMS_PUBLIC__USER_HEADER": "X-Forwarded-User",
        "TEAMS_PUBLIC__TRUSTED_PROXIES": "10.0.0.0/8",
    }
    found = await links(daemons, env=env, type="backup.failed", service="postgres")
    assert (await post(found["Acknowledge"], {"X-Forwarded-User": "boss"}, who="Omar"))[
        0
    ] == 200
    await until(lambda: acknowledged(daemons) is not None)
    [row] = rows(daemons.database_url)
    assert (row["acknowledged_by"], row["action_data"]) == ("Omar", {"via": "page"})


async def test_page_speaks_the_language_of_the_event(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres", lang="ar")

    assert 'lang="ar" dir="rtl"' in (await get(found["Acknowledge"]))[1]


async def test_an_acknowledgement_is_told_to_every_channel_of_the_event(daemons: Daemons):
    shipped = ",".join(load_config(None, {}).public.announce_acknowledgements)
    await daemons.start(**public({"TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS": shipped}))
    for priority, service in (("LOW", "db-6"), ("CRITICAL", "db-7")):
        fields = {"type": "backup.failed", "stakeholders": "sre,devops", "service": service}
        xadd(daemons.redis_url, fields | {"priority": priority})
    cards = await daemons.receiver.wait_for(4)
    await until(lambda: len(rows(daemons.database_url)) == 4)
    for card in cards:
        if card.path == "/sre":
            await post(links_on(card.body)["Acknowledge"], who="Sara", note="patient Ahmad")

    told = (await daemons.receiver.wait_for(6))[4:]
    assert sorted(card.path for card in told) == ["/devops", "/sre"]
    for card in told:
        body = card.body.decode()
        assert ("Sara" in body, "db-7" in body, "Ahmad" in body) == (True, True, False)
        assert links_on(card.body) == {}
    await until(lambda: len(rows(daemons.database_url)) == 6)
    assert len(daemons.receiver.requests) == 6


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /a/x HTTP/1.1\r\nHost: x\r\n",
        b"POST /a/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nwho",
    ],
)
async def test_slow_clients_are_cut_off(sent: bytes):
    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/a/x", read)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.server is not None
    bounds = asyncio.create_task(bound_connections(runner.server, longest_seconds=0.2))
    try:
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(sent)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(60):
                await reader.readexactly(1)
        writer.close()
    finally:
        bounds.cancel()
        await runner.cleanup()
