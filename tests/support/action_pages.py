"""A card's action pages, as a browser asks for them."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import redis

from tests.support.daemons import Daemons
from tests.support.ports import quiet_port
from tests.support.waiting import until

FAILED_TASK = {"type": "celery.task.failed", "task_name": "submit", "task_id": "t-1", "retry_count": "3", "max_retries": "3"}  # fmt: skip


async def links(
    daemons: Daemons, *, env: dict[str, str] | None = None, **fields: str
) -> dict[str, str]:
    """Deliver one event with action pages; return its card's links by title."""
    await daemons.start(**public(env))
    daemons.add({"stakeholders": "sre", "correlation_id": "corr-7", **fields})
    [request] = await daemons.receiver.wait_for(1)
    await until(lambda: len(daemons.rows()) == 1)
    return links_on(request.body)


def public(env: dict[str, str] | None = None) -> dict[str, str]:
    """The settings of a daemon with action pages."""
    port = quiet_port()
    return {
        "TEAMS_PUBLIC__BIND": f"127.0.0.1:{port}",
        "TEAMS_PUBLIC__URL": f"http://127.0.0.1:{port}",
    } | (env or {})


def links_on(body: bytes) -> dict[str, str]:
    card = json.loads(body)["attachments"][0]["content"]
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


async def post(url: str, headers: dict[str, str] | None = None, **form: str) -> tuple[int, str]:
    """Send a form as a browser sends it from our own page."""
    sent = {"Sec-Fetch-Site": "same-origin"} | (headers or {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=form, headers=sent) as page,
    ):
        return page.status, await page.text()


async def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as page:
        return page.status, await page.text()


def requests(redis_url: str) -> list[dict[str, str]]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return [fields for _, fields in client.xrange("teams:actions")]


def acknowledged(daemons: Daemons) -> Any:
    return daemons.rows()[0]["acknowledged_at"]
