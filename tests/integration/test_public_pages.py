"""A person acts from a card: the link opens a page, its form acts, and the first one wins."""

from __future__ import annotations

import json
import re
from typing import Any

import aiohttp
import redis

from notifier.sandbox.servers import free_port
from notifier.signing import action_token
from tests.integration.daemons import SECRET, Daemons
from tests.integration.test_pipeline import rows, until, xadd


async def links(daemons: Daemons, **fields: str) -> dict[str, str]:
    """Start a daemon with action pages, deliver one event and return the links on its card by title."""
    port = free_port()
    await daemons.start(
        TEAMS_PUBLIC__BIND=f"127.0.0.1:{port}", TEAMS_PUBLIC__URL=f"http://127.0.0.1:{port}"
    )
    xadd(daemons.redis_url, {"stakeholders": "sre", "correlation_id": "corr-7", **fields})
    [request] = await daemons.receiver.wait_for(1)
    await until(lambda: len(rows(daemons.database_url)) == 1)
    card = json.loads(request.body)["attachments"][0]["content"]
    return {
        action["title"]: action["url"] for action in actions(card) if "/a/" in action["url"]
    }


def actions(node: Any) -> list[dict[str, str]]:
    if isinstance(node, list):
        return [found for item in node for found in actions(item)]
    if isinstance(node, dict):
        own = [node] if node.get("type") == "Action.OpenUrl" else []
        return own + [found for item in node.values() for found in actions(item)]
    return []


async def test_opening_the_link_changes_nothing_and_the_form_acknowledges_once(
    daemons: Daemons,
):
    found = await links(daemons, type="backup.failed", service="postgres")
    async with aiohttp.ClientSession() as session:
        async with session.get(found["Acknowledge"]) as page:
            html = await page.text()
            assert page.status == 200
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
            assert "corr-7" in html
        assert rows(daemons.database_url)[0]["acknowledged_at"] is None

        async with session.post(
            found["Acknowledge"], data={"who": "<b>Sara</b>", "note": "on it"}
        ) as page:
            assert page.status == 200
            assert "<b>Sara" not in await page.text()
        async with session.post(found["Acknowledge"], data={"who": "Omar"}) as page:
            assert page.status == 409
            assert "Sara" in await page.text()

    [row] = rows(daemons.database_url)
    assert (row["acknowledged_by"], row["action_taken"], row["action_data"]) == (
        "<b>Sara</b>",
        "acknowledge",
        {"note": "on it"},
    )


async def test_several_processes_serve_the_same_public_address(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    bind = found["Acknowledge"].split("/")[2]
    await daemons.start("--stages", "delivery", TEAMS_PUBLIC__BIND=bind)

    async with aiohttp.ClientSession() as session, session.get(found["Acknowledge"]) as page:
        assert page.status == 200


async def test_name_is_needed(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    async with (
        aiohttp.ClientSession() as session,
        session.post(found["Acknowledge"], data={"who": "  "}) as page,
    ):
        assert page.status == 422
    assert rows(daemons.database_url)[0]["acknowledged_at"] is None


async def test_retry_goes_to_the_claims_workers_with_who_asked(daemons: Daemons):
    found = await links(
        daemons, type="celery.task.failed", task_name="submit", retry_count="3", max_retries="3"
    )
    [title] = [title for title in found if re.search("retry", title, re.IGNORECASE)]
    async with aiohttp.ClientSession() as session:
        for status in (200, 409):
            async with session.post(found[title], data={"who": "Sara"}) as page:
                assert page.status == status

    with redis.Redis.from_url(daemons.redis_url, decode_responses=True) as client:
        [(_, request)] = client.xrange("teams:actions")
    assert (request["action"], request["requested_by"], request["correlation_id"]) == (
        "retry_task",
        "Sara",
        "corr-7",
    )


async def test_forged_expired_and_foreign_requests_change_nothing(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    good = found["Acknowledge"]
    base, _, token = good.rpartition("/")
    row_id = str(rows(daemons.database_url)[0]["id"])
    expired = action_token(SECRET, notification_id=row_id, action="acknowledge", expires_at=1)
    unknown = action_token(
        SECRET,
        notification_id=row_id.replace("-", "")[::-1],
        action="acknowledge",
        expires_at=9999999999,
    )
    async with aiohttp.ClientSession() as session:
        for url, headers, status in (
            (f"{base}/{token[:-1]}_", {}, 400),
            (f"{base}/{expired}", {}, 410),
            (f"{base}/{unknown}", {}, 503),
            (good, {"Sec-Fetch-Site": "cross-site"}, 403),
            (base.removesuffix("/a") + "/readyz", {}, 404),
        ):
            async with session.post(url, data={"who": "Mallory"}, headers=headers) as page:
                assert page.status == status
    assert rows(daemons.database_url)[0]["acknowledged_at"] is None


async def test_page_speaks_the_language_of_the_event(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres", lang="ar")
    async with aiohttp.ClientSession() as session, session.get(found["Acknowledge"]) as page:
        html = await page.text()
    assert 'lang="ar" dir="rtl"' in html
