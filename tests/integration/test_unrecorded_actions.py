"""Actions that Postgres does not know yet, cannot take, or refuses."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.keys import ACCEPTED, UNREADABLE
from notifier.broker.leases import Leases
from notifier.config import load_config
from notifier.escalation.action_recorder import ActionRecorder
from notifier.escalation.repository import EscalationRepository
from notifier.events.action import Action, Via
from notifier.events.notification import notification_id
from notifier.events.signing import action_token
from notifier.sandbox.servers import start_postgres
from notifier.store.database import load_queries
from notifier.store.migrations import migrate_up
from tests.support.action_pages import (
    acknowledged,
    get,
    links,
    links_on,
    post,
    public,
    requests,
)
from tests.support.daemons import SECRET, Daemons, DaemonsAt
from tests.support.databases import kept as kept_connection
from tests.support.escalation import STREAM, record
from tests.support.ports import quiet_port
from tests.support.state import entries, rows
from tests.support.waiting import until


async def test_a_notification_that_is_not_recorded_yet_is_acknowledged_and_its_row_says_so(
    daemons: Daemons,
):
    settings = public()
    await daemons.start("--stages", "intake,delivery", **settings)
    daemons.publish(type="celery.task.failed", task_name="t", retry_count="3", max_retries="3")
    [request] = await daemons.receiver.wait_for(1)
    found = links_on(request.body)
    [retry] = [found[title] for title in found if re.search("retry", title, re.IGNORECASE)]

    # The data that a worker would need are not there yet.
    assert (await post(retry, who="Sara"))[0] == 503
    assert requests(daemons.redis_url) == []
    status, html = await post(found["Acknowledge"], who="Sara")
    assert (status, "Recorded" in html) == (200, True)
    await daemons.start("--stages", "recorder")

    await until(lambda: [row["acknowledged_by"] for row in daemons.rows()] == ["Sara"])


async def test_acknowledging_works_while_postgres_is_away_and_is_applied_when_it_is_back(
    redis_url: str, open_folder: Path, daemons_at: DaemonsAt
):
    with start_postgres(open_folder, port=quiet_port()) as server:
        await asyncio.to_thread(migrate_up, server.url)
        daemons = daemons_at(redis_url, server.url)
        found = await links(daemons, type="backup.failed", service="x")

    status, html = await get(found["Acknowledge"])
    assert (status, "Details cannot be shown" in html) == (200, True)
    status, html = await post(found["Acknowledge"], who="Sara")
    assert (status, "Recorded" in html) == (200, True)
    assert (await post(found["Acknowledge"], who="Omar"))[0] == 409

    with start_postgres(open_folder, port=server.port):
        await until(lambda: [row["acknowledged_by"] for row in daemons.rows()] == ["Sara"])


@pytest.mark.parametrize("ahead", ["2592000", "-2592000"])
async def test_links_last_as_long_as_they_should_on_a_machine_with_a_wrong_clock(
    daemons: Daemons, ahead: str
):
    settings = public()
    await daemons.start(program="tests.support.wrong_clock", CLOCK_AHEAD=ahead, **settings)
    daemons.publish(type="backup.failed", service="x")
    [request] = await daemons.receiver.wait_for(1)
    url = links_on(request.body)["Acknowledge"]

    expires_at = int(url.partition("/a/")[2].split(".")[3])
    assert abs(expires_at - time.time() - 604_800) < 600
    assert (await post(url, who="Sara"))[0] == 200


async def test_unrecorded_ids_do_not_stop_the_others(daemons: Daemons):
    found = await links(daemons, type="backup.failed", service="postgres")
    base = found["Acknowledge"].rpartition("/")[0]
    lost = action_token(
        SECRET,
        notification_id=str(uuid.uuid4()),
        action="acknowledge",
        expires_at=9_999_999_999,
    )
    assert (await post(f"{base}/{lost}", who="Lina"))[0] == 200
    assert (await post(found["Acknowledge"], who="Sara"))[0] == 200

    await until(lambda: acknowledged(daemons) is not None)


def test_what_a_page_shows_is_found_by_index(database_url: str):
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at)"
            " SELECT gen_random_uuid(), 's', '1', n::text, 'c', 't', 'sre', 'HIGH', 'delivered', now() FROM generate_series(1, 20000) n"
        )  # fmt: skip
        connection.execute(
            "INSERT INTO teams_escalations (stream, event_id, step, channel, cause, notification_id, escalation_id, at)"
            " SELECT 's', n::text, 1, 'sre', 'unanswered', gen_random_uuid(), gen_random_uuid(), now() FROM generate_series(1, 20000) n"
        )  # fmt: skip
        connection.execute(
            "INSERT INTO teams_actions (notification_id, action, who, via, at)"
            " SELECT gen_random_uuid(), 'acknowledge', 'x', 'page', now() FROM generate_series(1, 20000) n"
        )  # fmt: skip
        for table in ("teams_notifications", "teams_escalations", "teams_actions"):
            connection.execute(f"ANALYZE {table}".encode())
        query = b"EXPLAIN " + load_queries("notifier.escalation", "repository.sql")["facts"]
        plan = connection.execute(query, {"id": str(uuid.uuid4())}).fetchall()

    assert "Seq Scan" not in str(plan)


NAMES = ("Sara", "Omar", "Huda")
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_to_json(NEW)::text LIKE '%%Omar%%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22P05'; END IF;
    RETURN NEW;
END $$
"""


async def recorded(redis_url: str, database_url: str) -> None:
    """Acknowledge three notifications by three people, into Postgres."""
    config = load_config(
        None,
        {
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            "TEAMS_REDIS__BLOCK_SECONDS": "0.01",
        },
    )
    client = connect(config.redis)
    group = Consumer(client, config.redis, "one")
    connection = kept_connection(database_url)
    try:
        await group.ensure([ACCEPTED])
        for name in NAMES:
            record(database_url, name, "sre")
            taken = notification_id(STREAM, name, "sre")
            action = Action(taken, "acknowledge", name, "", Via.PAGE, datetime.now(UTC))
            await group.add(ACCEPTED, action.fields())
        recorder = ActionRecorder(
            group, EscalationRepository(connection), cast("Any", None), cast("Any", None), leases=Leases(group, lease_seconds=15),
            redis_settings=config.redis, announced=lambda: (), now=lambda: datetime.now(UTC),
        )  # fmt: skip
        while await recorder.step():
            pass
    finally:
        await connection.close()
        await close(client)


@pytest.mark.parametrize(
    ("table", "kept"), [("teams_actions", ["Omar"]), ("teams_notifications", [])]
)
async def test_the_others_are_acknowledged_and_the_one_at_fault_is_kept(
    redis_url: str, database_url: str, table: str, kept: list[str]
):
    with psycopg.connect(database_url) as connection:
        connection.execute(REFUSE.encode())
        connection.execute(
            f"CREATE TRIGGER refuse BEFORE {'INSERT' if kept else 'UPDATE'} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()".encode()
        )

    await recorded(redis_url, database_url)

    taken = {row["event_id"]: row["acknowledged_by"] for row in rows(database_url)}
    assert taken == {"Sara": "Sara", "Omar": None, "Huda": "Huda"}
    assert [each["who"] for each in entries(redis_url, UNREADABLE)] == kept
    assert entries(redis_url, ACCEPTED) == []
    waiting = rows(database_url, "SELECT who FROM teams_actions WHERE applied_at IS NULL")
    assert [each["who"] for each in waiting] == ([] if kept else ["Omar"])
