"""Act from a card: the link opens a page, and the first form wins."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import aiohttp
import redis

from notifier.config import load_config
from notifier.events.notification import event_key
from tests.support.action_pages import (
    FAILED_TASK,
    acknowledged,
    get,
    links,
    links_on,
    post,
    public,
    requests,
)
from tests.support.daemons import Daemons
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
    [row] = daemons.rows()
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


async def test_a_flow_acknowledges_by_callback(daemons: Daemons):
    token = base64.b64encode(b"sixteen bytes or").decode()
    found = await links(
        daemons, env={"TEAMS_OUTGOING_WEBHOOK_TOKEN": token}, type="backup.failed", service="x"
    )
    [row] = daemons.rows()
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
    assert daemons.rows()[0]["action_data"] == {"via": "callback"}
    assert token not in daemons.log()


async def test_several_processes_serve_the_same_public_address(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    bind = found["Acknowledge"].split("/")[2]
    await daemons.start("--stages", "delivery", TEAMS_PUBLIC__BIND=bind)

    assert (await get(found["Acknowledge"]))[0] == 200


async def test_many_people_at_once_have_one_winner_and_all_see_the_same_name(daemons: Daemons):
    found = await links(daemons, **FAILED_TASK)

    answers = await asyncio.gather(*(post(found["Retry task"], who=f"P{n}") for n in range(20)))

    assert sorted(status for status, _ in answers) == [200] + [409] * 19
    [request] = requests(daemons.redis_url)
    winner = request["requested_by"]
    assert all(f">{winner}<" in html for _, html in answers)
    await until(lambda: acknowledged(daemons) is not None)
    assert daemons.rows()[0]["acknowledged_by"] == winner


async def test_retry_goes_to_the_claims_workers_with_subject_and_name(daemons: Daemons):
    found = await links(daemons, **FAILED_TASK, patient_id="PAT-KLMNOPQ")
    for _ in range(2):
        assert (await post(found["Retry task"], who="Sara", note="again please"))[0] == 200

    [row] = daemons.rows()
    [request] = requests(daemons.redis_url)
    assert json.loads(request.pop("subject")) == {"task_name": "submit", "task_id": "t-1"}
    assert request.pop("requested_at")
    assert request == {
        "id": f"{event_key('teams:events', row['event_id'])}:retry_task", "action": "retry_task", "notification_id": str(row["id"]), "event_id": row["event_id"],
        "event_type": "celery.task.failed", "correlation_id": "corr-7", "channel": "sre", "requested_by": "Sara", "via": "page",
        "note": "again please",
    }  # fmt: skip


async def test_a_request_that_redis_refuses_can_be_made_again(daemons: Daemons):
    found = await links(daemons, **FAILED_TASK)
    url = found["Retry task"]
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.set("teams:actions", "not a stream")
        assert (await post(url, who="Sara"))[0] == 503
        client.delete("teams:actions")
    assert "Retry the task" in (await get(url))[1]
    assert (await post(url, who="Omar"))[0] == 200

    assert [request["requested_by"] for request in requests(daemons.redis_url)] == ["Omar"]


ENTRY = {"action": "acknowledge", "who": "x", "note": "", "via": "page", "at": "2026-11-24T10:15:00+00:00"}  # fmt: skip


def add(daemons: Daemons, stream: str, entry: dict[str, Any]) -> None:
    """Add an entry to a stream of actions, as another version or program may."""
    recorded = str(daemons.rows()[0]["id"])
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xadd(
            f"{{teams:actions}}:{stream}", {"notification_id": recorded, **ENTRY, **entry}
        )


async def test_entries_that_are_not_actions_do_not_hold_up_those_of_people(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    unknown = {"notification_id": str(uuid.uuid4())}
    for fault in (
        {"notification_id": "x"},
        {"action": "pay"},
        {"who": "a\0b"},
        {"at": "soon"},
        {"at": "0001-01-01T00:00+14:00"},
    ):
        add(daemons, "accepted", unknown | fault)

    assert (await post(found["Acknowledge"], who="Sara"))[0] == 200

    await until(lambda: acknowledged(daemons) is not None)
    assert daemons.rows()[0]["acknowledged_by"] == "Sara"
    assert "action_unreadable" in daemons.log()
    with redis.Redis.from_url(daemons.redis_url) as client:
        assert client.xlen("{teams:actions}:unreadable") == 4
    written = daemons.rows("SELECT action FROM teams_actions ORDER BY action")
    assert [row["action"] for row in written] == ["acknowledge", "pay"]


async def test_an_acknowledgement_of_a_later_version_is_recorded(daemons: Daemons):
    await links(daemons, type="backup.failed", service="postgres")
    add(daemons, "accepted", {"via": "watch", "device": "7"})

    await until(lambda: acknowledged(daemons) is not None)
    assert daemons.rows()[0]["action_data"] == {"via": "watch"}


async def test_three_people_in_three_channels_make_one_request_and_see_the_first(
    daemons: Daemons,
):
    await daemons.start(**public())
    daemons.add({**FAILED_TASK, "stakeholders": "sre,devops,cloudops"})
    cards = await daemons.receiver.wait_for(3)
    await until(lambda: len(daemons.rows()) == 3)
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
            for row in daemons.rows()
            if row["event_type"] == "celery.task.failed"
        }

    await until(lambda: by_channel() == {"sre": "A1", "devops": None, "cloudops": None})
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.delete(*client.keys("{teams:actions}:taken:*"))  # type: ignore[misc]
    status, html = await post(found["/devops"]["Acknowledge"], who="D4")
    assert (status, ">A1<" in html) == (409, True)


async def test_name_comes_from_the_sign_on_proxy(daemons: Daemons):
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
    [row] = daemons.rows()
    assert row["acknowledged_by"] == "sara@example.sa"
    assert row["action_data"] == {"via": "sign_on"}


async def test_an_acknowledgement_is_announced_in_every_channel_of_the_event(daemons: Daemons):
    shipped = ",".join(load_config(None, {}).public.announce_acknowledgements)
    await daemons.start(**public({"TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS": shipped}))
    for priority, service in (("LOW", "db-6"), ("CRITICAL", "db-7")):
        fields = {"type": "backup.failed", "stakeholders": "sre,devops", "service": service}
        daemons.add(fields | {"priority": priority})
    cards = await daemons.receiver.wait_for(4)
    await until(lambda: len(daemons.rows()) == 4)
    for card in cards:
        if card.path == "/sre":
            await post(links_on(card.body)["Acknowledge"], who="Sara", note="patient Ahmad")

    announced = (await daemons.receiver.wait_for(6))[4:]
    assert sorted(card.path for card in announced) == ["/devops", "/sre"]
    for card in announced:
        body = card.body.decode()
        assert ("Sara" in body, "db-7" in body, "Ahmad" in body) == (True, True, False)
        assert links_on(card.body) == {}
    await until(lambda: len(daemons.rows()) == 6)
    assert len(daemons.receiver.requests) == 6
