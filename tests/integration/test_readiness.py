"""/readyz: failures that stop the work, and warnings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest

from notifier.events.signing import key_id
from notifier.sandbox.servers import start_postgres
from notifier.store.migrations import migrate_down, migrate_up
from tests.support.commands import notifier
from tests.support.daemons import SECRET, Daemons, DaemonsAt
from tests.support.proxy import Proxy


def postgres_fails(state: Any) -> bool:
    return bool(state["postgres"]["state"] == "fault")


def postgres_works(state: Any) -> bool:
    return bool(state["postgres"]["state"] == "ok")


async def test_everything_that_works_is_said_to_work(daemons: Daemons):
    await daemons.start(TEAMS_WEBHOOK_PMO="placeholder")

    state = await daemons.readiness()

    assert state["status"] == 200
    assert state["redis"] == {"state": "ok", "detail": ""}
    assert state["postgres"] == {"state": "ok", "detail": "", "missing_migrations": []}
    assert state["secrets"] == {
        "vault": "off",
        "signing_key": "configured",
        "admin_token": "missing",
        "key_ids": [key_id(SECRET)],
    }
    assert state["channels"]["sre"] == {
        "webhook": "configured",
        "breaker": "closed",
        "paused_seconds": 0.0,
        "detail": "",
    }
    assert state["channels"]["pmo"]["webhook"] == "placeholder"
    assert set(state["parts"].values()) == {"ok"}
    assert [*state["warnings"]] == ["webhooks"]
    assert "pmo (placeholder)" in state["warnings"]["webhooks"]
    done = notifier(
        "doctor", "--json",
        REDIS_URL=daemons.redis_url, DATABASE_URL=daemons.database_url,
        TEAMS_ADMIN__BIND=urlsplit(daemons.admin_urls[0]).netloc,
    )  # fmt: skip
    assert "webhooks: none for pmo" in done.stdout
    assert (
        key_id(SECRET) in done.stdout
    )  # this command has no key, and says which one the daemon has


async def test_process_that_does_not_deliver_needs_no_webhooks(daemons: Daemons):
    await daemons.start("--stages", "intake,recorder", TEAMS_WEBHOOK_PMO="placeholder")

    assert (await daemons.readiness())["warnings"] == {}


@pytest.mark.parametrize("name", ["/readyz", "/healthz"])
async def test_answers_hold_no_webhook(daemons: Daemons, name: str):
    await daemons.start()
    async with (
        aiohttp.ClientSession() as session,
        session.get(daemons.admin_urls[0] + name) as page,
    ):
        text = await page.text()

    assert daemons.receiver.url("sre") not in text
    assert daemons.receiver.url("").rstrip("/").removeprefix("http://") not in text


async def test_process_that_delivers_is_ready_without_postgres_and_one_that_only_records_is_not(
    open_folder: Path, redis_url: str, daemons_at: DaemonsAt
):
    with start_postgres(open_folder) as server:
        await asyncio.to_thread(migrate_up, server.url)
        delivering, recording = (daemons_at(redis_url, server.url) for _ in range(2))
        await delivering.start()
        await recording.start("--stages", "recorder")
    delivering.publish()

    for each, status in ((delivering, 200), (recording, 503)):
        await each.until_state(lambda state: "Postgres" in state["parts"]["escalation"])
        state = await each.until_state(postgres_fails)
        assert state["status"] == status
        assert "check database.url" in state["warnings"]["postgres"]
        assert state["redis"]["state"] == "ok"


async def test_schema_that_went_back_is_named_with_its_fix(daemons: Daemons, database_url: str):
    await daemons.start()
    [gone] = await asyncio.to_thread(migrate_down, database_url)

    state = await daemons.until_state(postgres_fails)

    assert state["postgres"]["missing_migrations"] == [gone]
    assert "notifier migrate up" in state["postgres"]["detail"]
    await asyncio.to_thread(migrate_up, database_url)
    state = await daemons.until_state(postgres_works)
    assert "postgres" not in state["warnings"]


async def test_postgres_that_hangs_delays_the_answer_but_does_not_withhold_it(
    daemons: Daemons, database_url: str
):
    await daemons.start()
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE _yoyo_migration IN ACCESS EXCLUSIVE MODE")

        state = await daemons.until_state(postgres_fails)

        assert state["status"] == 200
    await daemons.until_state(postgres_works)


async def test_postgres_that_no_longer_answers_at_all_is_said_in_time(
    daemons: Daemons, database_url: str
):
    parts = urlsplit(database_url)
    way = Proxy(parts.hostname or "", parts.port or 0)
    async with way.serving():
        await daemons.start(
            DATABASE_URL=database_url.replace(f":{parts.port}/", f":{way.port}/")
        )
        await daemons.until_state(postgres_works)
        way.open.clear()

        async with asyncio.timeout(60):
            while True:
                # Each answer comes long before the driver alone gives up, after 13 s.
                async with asyncio.timeout(9):
                    state = await daemons.readiness()
                if postgres_fails(state):
                    break
                await asyncio.sleep(0.2)

        assert state["status"] == 200
        way.open.set()
        await daemons.until_state(postgres_works)


async def test_webhook_that_is_gone_is_a_warning_at_its_channel_and_the_others_go_on(
    daemons: Daemons,
):
    daemons.receiver.answer(404, times=1)
    await daemons.start()
    daemons.publish()

    state = await daemons.until_state(
        lambda state: "HTTP 404" in state["channels"]["sre"]["detail"]
    )

    assert state["status"] == 200
    assert "check the Teams workflow" in state["warnings"]["channel sre"]
    daemons.publish()
    await daemons.receiver.wait_for(2)
    await daemons.until_state(lambda state: state["warnings"] == {})


async def test_process_without_recorder_needs_no_postgres(daemons: Daemons):
    await daemons.start("--stages", "delivery", DATABASE_URL="postgresql://127.0.0.1:1/none")

    assert (await daemons.readiness())["postgres"]["state"] == "unused"


async def test_daemon_is_ready_before_the_first_wait_of_its_loops_is_over(daemons: Daemons):
    # Each loop would wait that long for its first entry or its next look.
    async with asyncio.timeout(30):
        await daemons.start(
            TEAMS_REDIS__BLOCK_SECONDS="30", TEAMS_ESCALATION__POLL_SECONDS="30", TEAMS_REDIS__LEASE_SECONDS="300"
        )  # fmt: skip

    state = await daemons.readiness()

    assert set(state["parts"].values()) == {"ok"}
