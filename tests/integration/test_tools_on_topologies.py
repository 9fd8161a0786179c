"""Operators' commands work with a Redis cluster and with Sentinels."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.daemons import Daemons
from tests.support.processes import run
from tests.support.state import rows
from tests.support.topologies import Cluster, Replicated
from tests.support.waiting import until


@pytest.fixture(params=["cluster", "sentinels"])
def redis_address(
    request: pytest.FixtureRequest, shards: Cluster, sentinels: Replicated
) -> str:
    return shards.url if request.param == "cluster" else sentinels.url


def printed(daemons: Daemons, *arguments: str, exits: tuple[int, ...] = (0,)) -> str:
    env = daemons.environment() | {"COLUMNS": "200", "HOME": os.environ.get("HOME", "/")}
    done = run(*arguments, env=env, seconds=120)
    assert done.returncode in exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


async def test_operators_see_streams_lanes_and_dead_letters(
    redis_address: str, database_url: str, webhook_receiver: Any, tmp_path: Path
):
    folder = tmp_path / "logs"
    folder.mkdir()
    daemons = Daemons(redis_address, database_url, webhook_receiver, folder)
    try:
        await daemons.start()
        webhook_receiver.answer(400, times=1)
        printed(daemons, "publish", "a.b", "--stakeholders", "sre", "--id", "refused")
        await until(lambda: len(rows(database_url)) == 1)

        findings = json.loads(printed(daemons, "doctor", "--json", exits=(0, 1)))
        of_redis = ("redis", "redis rights", "stages", "dead letters", "old lanes")
        wrong = [
            each
            for each in findings["findings"]
            if each["check"] in of_redis and each["level"] == "fault"
        ]
        assert wrong == []
        assert {each["check"] for each in findings["findings"]} >= set(of_redis)

        seen = json.loads(printed(daemons, "top", "--json"))
        [stream] = seen["streams"]
        assert stream["dead_letters"] == 1

        [letter] = json.loads(printed(daemons, "dlq", "list", "--json"))
        assert "rejected" in printed(daemons, "dlq", "show", letter["id"])
        assert "sre" in printed(daemons, "lanes", "list")
        assert "refused" in printed(daemons, "trace", "refused")

        async with aiohttp.ClientSession() as session:
            for page in (
                "",
                "/critical",
                "/dead-letters",
                "/notifications",
                "/search?q=refused",
            ):
                async with session.get(f"{daemons.admin_urls[0]}/console{page}") as answer:
                    text = await answer.text()
                    assert answer.status == 200
                    assert "did not answer" not in text, page
            assert "SRE" in text

        printed(daemons, "dlq", "replay", letter["id"])
        await until(lambda: [row["status"] for row in rows(database_url)] == ["delivered"])
        again = printed(daemons, "replay", "--since", "2020-01-01T00:00", "--dry-run")
        assert "0 would be replayed" in again
    finally:
        await daemons.stop()
