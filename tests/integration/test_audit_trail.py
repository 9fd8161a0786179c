"""Rows of the audit trail: the checklist's queries, and times of no calendar."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from notifier.dead_letters.audit import DeadLetterAudit
from notifier.errors import OutcomeError, SchemaError
from notifier.escalation.repository import FactsRepository, unacknowledged_critical
from notifier.ops.trace.repository import TraceRepository
from notifier.pipeline.recorder import AuditTrail
from notifier.store.migrations import migrate_down, migrate_up, status
from notifier.web.console.repository import ConsoleRepository, Wanted
from tests.support.commands import notifier
from tests.support.databases import reading, writing

NOW = datetime.now(UTC)

QUERIES = {
    "by correlation id": """SELECT correlation_id, event_type, priority, status_code, sent_at
        FROM teams_notifications WHERE correlation_id = 'test-deploy-verification';""",
    "acknowledgement": """SELECT acknowledged_by, acknowledged_at, action_taken
        FROM teams_notifications WHERE correlation_id = 'test-deploy-verification';""",
    "recent": """SELECT event_type, COUNT(*) AS total,
          COUNT(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS successful,
          COUNT(*) FILTER (WHERE status_code >= 400) AS failed
        FROM teams_notifications WHERE sent_at > NOW() - INTERVAL '1 hour' GROUP BY event_type;""",
    "rate limited": """SELECT correlation_id, retry_count, status_code, error_message
        FROM teams_notifications WHERE status_code = 429 ORDER BY sent_at DESC LIMIT 10;""",
    "delivery rate": """SELECT (COUNT(*) FILTER (WHERE status_code < 400)::float / COUNT(*))*100
        FROM teams_notifications WHERE sent_at > NOW() - INTERVAL '24 hours'""",
    "acknowledgement time": """SELECT AVG(EXTRACT(EPOCH FROM (acknowledged_at - sent_at))/60)
        FROM teams_notifications WHERE priority = 'CRITICAL' AND acknowledged_at IS NOT NULL""",
    "unacknowledged": "SELECT COUNT(*) FROM teams_notifications_unacknowledged_critical",
    "view": "SELECT * FROM teams_notifications_unacknowledged_critical LIMIT 10;",
    "latest": "SELECT * FROM teams_notifications ORDER BY sent_at DESC LIMIT 10",
    "trigger": """SELECT tgname, tgtype FROM pg_trigger WHERE tgrelid = 'teams_notifications'::regclass
        AND NOT tgisinternal;""",
}


def outcome(number: int, **changes: object) -> bytes:
    record = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))),
        "event_id": f"e{number}",
        "correlation_id": "test-deploy-verification",
        "event_type": "nphies.api.error",
        "channel": "sre",
        "stakeholders": ["sre", "devops"],
        "priority": "CRITICAL",
        "status": "delivered",
        "status_code": 202,
        "retry_count": 0,
        "error_message": None,
        "sent_at": NOW.isoformat(),
        "stream": "teams:events",
        "entry_id": f"{number}-1",
        "webhook_host": "example.api.powerplatform.com",
        "template": "nphies_api_error",
        "event_time": NOW.isoformat(),
        "lang": "en",
        "attempts": [
            {
                "attempt": 1,
                "started_at": NOW.isoformat(),
                "duration_seconds": 0.1,
                "status_code": 202,
                "error": None,
            }
        ],
        "card_payload": {"type": "AdaptiveCard"},
    }
    return json.dumps(record | changes).encode()


def store_at(url: str) -> AuditTrail:
    return AuditTrail(writing(url))


async def record(url: str, *outcomes: bytes) -> None:
    store = store_at(url)
    try:
        await store.record(
            outcomes, store_cards=True, arrived=[NOW.timestamp()] * len(outcomes), checks=[]
        )
    finally:
        await store.close()


def answers(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_every_query_of_the_checklist_gives_its_answer(database_url: str):
    failed = outcome(
        2, status="dead_lettered", status_code=429, retry_count=3, error_message="HTTP 429"
    )
    await record(database_url, outcome(1), failed, outcome(3, priority="INFO"))
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET acknowledged_by = 'Sara', acknowledged_at = sent_at + interval '3 min', "
            "action_taken = 'acknowledge' WHERE event_id = 'e1'"
        )

    found = {name: answers(database_url, query) for name, query in QUERIES.items()}

    assert len(found["by correlation id"]) == 3
    assert ("Sara", "acknowledge") in [(row[0], row[2]) for row in found["acknowledgement"]]
    assert found["recent"] == [("nphies.api.error", 3, 2, 1)]
    assert found["rate limited"] == [("test-deploy-verification", 3, 429, "HTTP 429")]
    assert float(str(found["delivery rate"][0][0])) == pytest.approx(200 / 3)
    assert float(str(found["acknowledgement time"][0][0])) == pytest.approx(3)
    assert found["unacknowledged"] == [(1,)]
    assert len(found["view"]) == 1
    assert len(found["latest"]) == 3
    assert [row[0] for row in found["trigger"]] == ["teams_notifications_updated_at"]


async def test_recording_twice_changes_nothing(database_url: str):
    await record(database_url, outcome(1), outcome(1))
    before = answers(database_url, "SELECT * FROM teams_notifications")
    await record(database_url, outcome(1))

    assert answers(database_url, "SELECT * FROM teams_notifications") == before
    assert answers(database_url, "SELECT count(*) FROM teams_notification_attempts") == [(1,)]


async def test_replayed_dead_letter_becomes_delivered_and_keeps_its_acknowledgement(
    database_url: str,
):
    older = outcome(
        1,
        status="dead_lettered",
        status_code=500,
        sent_at=(NOW - timedelta(hours=1)).isoformat(),
    )
    await record(database_url, older)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET acknowledged_by = 'Sara', acknowledged_at = now()"
        )
    await record(database_url, outcome(1))

    assert answers(database_url, "SELECT status, acknowledged_by FROM teams_notifications") == [
        ("delivered", "Sara")
    ]


async def test_update_moves_updated_at(database_url: str):
    await record(database_url, outcome(1))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE teams_notifications SET action_taken = 'acknowledge'")

    assert answers(database_url, "SELECT updated_at > created_at FROM teams_notifications") == [
        (True,)
    ]


async def test_a_nul_is_replaced_and_text_that_only_looks_like_one_is_recorded_as_it_is(
    database_url: str,
):
    text = r"path C:\u0000 x"
    await record(
        database_url,
        outcome(1, correlation_id=f"{text}\x00", card_payload={"text": f"{text}\x00"}),
    )

    query = "SELECT correlation_id, card_payload ->> 'text' FROM teams_notifications"
    assert answers(database_url, query) == [(f"{text}\ufffd",) * 2]


async def test_what_only_looks_like_a_nul_is_noted_of_a_dead_letter_as_it_is(
    database_url: str,
):
    text = r"path C:\u0000 x"
    log = DeadLetterAudit(database_url, connect_timeout_seconds=5)
    letter = {
        "id": "1-1", "stream": "teams:events", "reason": "rejected", "event": {"text": f"{text}\x00"},
    }  # fmt: skip
    await log.note(letter, action="discard", who="Sara", why=None)
    await log.close()

    query = "SELECT letter -> 'event' ->> 'text' FROM teams_dead_letter_actions"
    assert answers(database_url, query) == [(f"{text}\ufffd",)]


async def test_outcome_that_postgres_refuses_is_told_without_its_values(database_url: str):
    with pytest.raises(OutcomeError) as caught:
        await record(database_url, outcome(1, priority="PAT-12345"))

    assert "PAT-12345" not in str(caught.value)


async def test_outcome_beyond_the_limits_of_postgres_is_refused_and_not_tried_for_ever(
    database_url: str,
):
    deep = outcome(1, card_payload="CARD").replace(b'"CARD"', b"[" * 20_000 + b"]" * 20_000)
    unindexable = outcome(2, correlation_id="".join(str(uuid.uuid4()) for _ in range(300)))

    with pytest.raises(OutcomeError, match="StatementTooComplex"):
        await record(database_url, outcome(3), deep)
    with pytest.raises(OutcomeError, match="ProgramLimitExceeded"):
        await record(database_url, outcome(3), unindexable)


async def test_a_row_that_a_trigger_of_the_operator_refuses_is_a_refused_outcome(
    database_url: str,
):
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.event_id = 'e3' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER picky BEFORE INSERT ON teams_notifications FOR EACH ROW EXECUTE FUNCTION picky()"
        )
    with pytest.raises(OutcomeError, match="RaiseException"):
        await record(database_url, outcome(1), outcome(3, event_id="e3"))
    await record(database_url, outcome(1))


async def test_migrations_go_up_down_and_up_again(empty_database_url: str):
    store = store_at(empty_database_url)
    with pytest.raises(SchemaError, match="notifier migrate up"):
        await store.check_schema()

    first = await asyncio.to_thread(migrate_up, empty_database_url)
    assert await asyncio.to_thread(migrate_up, empty_database_url) == []
    assert all(item.applied_at for item in await asyncio.to_thread(status, empty_database_url))
    gone = await asyncio.to_thread(migrate_down, empty_database_url, steps=len(first))
    assert gone == list(reversed(first))
    left = answers(
        empty_database_url, "SELECT tablename FROM pg_tables WHERE tablename LIKE 'teams_%'"
    )
    assert left == []
    assert await asyncio.to_thread(migrate_up, empty_database_url) == first
    await store.check_schema()
    await store.close()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("together", [True, False])
async def test_outcomes_of_one_notification_end_in_the_same_row_in_any_order(
    database_url: str, order: tuple[int, ...], together: bool
):
    ended = ("dead_lettered", "delivered", "dead_lettered")
    outcomes = [
        outcome(1, status=status, sent_at=(NOW + timedelta(minutes=number)).isoformat())
        for number, status in enumerate(ended)
    ]
    given = [outcomes[number] for number in order]
    for batch in [given] if together else [[each] for each in given]:
        await record(database_url, *batch)

    # A delivered notification stays delivered, whatever a forced replay brings.
    assert answers(database_url, "SELECT status, sent_at FROM teams_notifications") == [
        ("delivered", NOW + timedelta(minutes=1))
    ]


ID = str(uuid4())
TIMES = ["infinity", "-infinity", "0001-01-01T00:00+14:00", "4713-01-01 BC", "294276-12-31"]


def spoilt(url: str, at: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at,"
            " event_time, created_at) VALUES (%(id)s, 's', '1-0', 'e1', 'C1', 'a.b', 'sre', 'CRITICAL', 'delivered', %(at)s, %(at)s, %(at)s)",
            {"id": ID, "at": at},
        )
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at,"
            " acknowledged_by, acknowledged_at, action_taken)"
            " VALUES (gen_random_uuid(), 's', '2-0', 'e2', 'C2', 'a.b', 'sre', 'CRITICAL', 'delivered', now(), 'x', %s, 'acknowledge')",
            (at,),
        )
        connection.execute(
            "INSERT INTO teams_notification_attempts VALUES (%s, 1, %s, 0.1, 200, NULL)",
            (ID, at),
        )
        connection.execute(
            "INSERT INTO teams_actions (notification_id, action, who, via, at) VALUES (%s, 'acknowledge', 'x', 'page', %s)",
            (ID, at),
        )
        connection.execute(
            "INSERT INTO teams_escalations (stream, event_id, step, channel, cause, notification_id, escalation_id, at)"
            " VALUES ('s', 'e1', 1, 'pmo', 'unanswered', %s, gen_random_uuid(), %s)",
            (ID, at),
        )
        connection.execute(
            "INSERT INTO teams_dead_letter_actions (stream, letter_id, action, who, reason, correlation_id, at) VALUES ('s', '1', 'replay', 'x', 'y', 'C1', %s)",
            (at,),
        )


async def facts(url: str) -> object:
    return await FactsRepository(reading(url).connection).facts(ID)


async def notifications(url: str) -> object:
    found = await ConsoleRepository(reading(url).connection).notifications(Wanted(), limit=10)
    return len(found) == 2


async def notification(url: str) -> object:
    return await ConsoleRepository(reading(url).connection).notification(ID)


async def unacknowledged(url: str) -> object:
    return await ConsoleRepository(reading(url).connection).unacknowledged()


async def dead_letter_actions(url: str) -> object:
    return await ConsoleRepository(reading(url).connection).dead_letter_actions("s", "1", {})


async def journey(url: str) -> object:
    store = TraceRepository(reading(url).connection)
    found = await store.find("C1", uuid=None, event_ids=[], streams=["s"], limit=9, cards=True)
    return (
        found.rows
        and found.attempts
        and found.actions
        and found.escalations
        and found.dead_letter_actions
    )


async def gauge(url: str) -> object:
    found = await unacknowledged_critical(reading(url).connection, within_seconds=3600)
    return all(each.oldest_seconds < 1e9 for each in found)


READERS: list[Callable[[str], Awaitable[Any]]] = [
    facts, notifications, notification, unacknowledged, dead_letter_actions, journey, gauge,
]  # fmt: skip


@pytest.mark.parametrize("at", TIMES)
async def test_every_reader_goes_on(database_url: str, at: str):
    spoilt(database_url, at)
    for reader in READERS:
        assert await reader(database_url), reader.__name__


@pytest.mark.parametrize("at", TIMES)
def test_commands_show_the_rows(database_url: str, redis_url: str, at: str):
    spoilt(database_url, at)
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}

    report = notifier("report", "--json", **env)
    table = notifier("report", **env)
    trace = notifier("trace", "C1", **env)

    for done in (report, table, trace):
        assert done.returncode == 0, done.stderr
    assert json.loads(report.stdout, parse_constant=pytest.fail)
