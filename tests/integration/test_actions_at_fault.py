"""An action that Postgres refuses leaves other people's actions alone."""

from __future__ import annotations

from datetime import UTC, datetime
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
from tests.support.databases import kept as kept_connection
from tests.support.escalation import STREAM, record
from tests.support.state import entries, rows

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
