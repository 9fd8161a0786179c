"""Unacknowledged events escalate once per step, until acknowledged."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from notifier.errors import StreamError
from notifier.events.action import Action, Via
from notifier.events.notification import notification_id
from notifier.store.database import load_queries
from tests.support.escalation import STREAM, acknowledge, age
from tests.support.schedulers import VIEW, recorded, waiting, world
from tests.support.state import rows


async def test_each_channel_of_the_chain_is_told_in_its_time(redis_url: str, database_url: str):
    [lead, _] = waiting(database_url, "e1", "security_eng cloudops")
    async with world(redis_url, database_url) as w:
        assert await w.minutes(4.9) == []
        assert await w.minutes(0.2) == [(f"escalation:{lead}:1", "nphies_integration")]
        assert await w.minutes(4.8) == []
        assert await w.minutes(0.3) == [(f"escalation:{lead}:2", "devops")]
        assert await w.minutes(6) == [(f"escalation:{lead}:3", "sre")]
        assert await w.minutes(600) == []

        entry = w.published[0]
        assert (entry["type"], entry["priority"], entry["correlation_id"]) == (
            "notifier.escalation",
            "CRITICAL",
            "corr-1",
        )
        data = json.loads(entry["data"])
        assert (data["summary"], data["answer_id"], data["waiting_minutes"]) == (
            "It failed.",
            lead,
            5,
        )
        assert data["told"] == ["security_eng", "cloudops"]


@pytest.mark.parametrize("who", ["lead", "sibling", "escalation"])
async def test_an_acknowledgement_of_any_card_stops_the_chain(
    redis_url: str, database_url: str, who: str
):
    ids = dict(
        zip(("lead", "sibling"), waiting(database_url, "e1", "pmo compliance"), strict=True)
    )
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        # The escalation arrives in its channel and in the table.
        [ids["escalation"]] = waiting(
            database_url, event_id, channel, event_type="notifier.escalation"
        )
        acknowledge(database_url, ids[who])

        assert await w.minutes(30) == []
        assert await w.minutes(600) == []


async def test_escalating_by_hand_does_not_acknowledge(redis_url: str, database_url: str):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        waiting(database_url, event_id, channel, event_type="notifier.escalation")
        acknowledge(database_url, lead, "escalate")

        assert [channel for _, channel in await w.minutes(6)] == ["devops"]


async def test_an_escalation_that_arrives_after_the_acknowledgement_is_acknowledged_too(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        acknowledge(database_url, lead)
        waiting(database_url, event_id, channel, event_type="notifier.escalation")
        await w.minutes(1)

    assert {row["acknowledged_by"] for row in rows(database_url)} == {"Sara"}
    assert rows(database_url, VIEW) == []


async def test_an_acknowledgement_that_postgres_does_not_know_yet_holds_the_chain(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        await w.actions.accept(
            Action(lead, "acknowledge", "Sara", "", Via.PAGE, datetime.now(UTC)), None
        )
        assert await w.minutes(60) == []
        acknowledge(database_url, lead)
        assert await w.minutes(60) == []


async def test_many_schedulers_add_each_step_once(redis_url: str, database_url: str):
    for number in range(30):
        waiting(database_url, f"e{number}", "pmo compliance security_eng")
    async with world(redis_url, database_url) as w:
        for _ in range(3):
            age(database_url, 6)
            for _ in range(4):
                await asyncio.gather(*(w.scheduler(number).check_due() for number in range(6)))

        ids = [entry["id"] for entry in w.published]
        assert len(ids) == 90
        assert len(set(ids)) == 90


@pytest.mark.parametrize("original_is_recorded", [True, False])
async def test_an_escalation_whose_step_is_not_written_down_belongs_to_its_event_all_the_same(
    redis_url: str, database_url: str, original_is_recorded: bool
):
    lead = notification_id(STREAM, "e1", "pmo")
    if original_is_recorded:
        waiting(database_url, "e1", "pmo")
        acknowledge(database_url, lead)
    # Its process died between publishing and commit.
    waiting(database_url, f"escalation:{lead}:1", "devops", event_type="notifier.escalation")
    async with world(redis_url, database_url) as w:
        assert await w.minutes(6) == []
        assert await w.minutes(6) == []

    assert (rows(database_url, VIEW) == []) is original_is_recorded


async def test_redis_away_delays_a_step_and_a_broken_reply_repeats_it_under_the_same_id(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        w.faults = 1
        with pytest.raises(StreamError):
            await w.minutes(6)
        assert w.published == []
        w.faults, w.fault_after = 1, True
        with pytest.raises(StreamError):
            await w.minutes(0)
        await w.minutes(0)

        # Intake drops the second: the same event id.
        assert [entry["id"] for entry in w.published] == [f"escalation:{lead}:1"] * 2
        assert [
            row["step"] for row in rows(database_url, "SELECT * FROM teams_escalations")
        ] == [1]


async def test_what_was_there_before_the_scheduler_wakes_nobody(
    redis_url: str, database_url: str
):
    waiting(database_url, "e1", "pmo")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE teams_notifications SET escalation_check_at = NULL")
    async with world(redis_url, database_url) as w:
        assert await w.minutes(60) == []


def test_the_scheduler_s_queries_go_by_index(database_url: str):
    queries = load_queries("notifier.escalation", "repository.sql")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status,"
            " sent_at, escalation_check_at) SELECT gen_random_uuid(), 's', '1', n::text, 'c', 't', 'sre',"
            " CASE n %% 5 WHEN 0 THEN 'HIGH' ELSE 'INFO' END, 'delivered', now(), CASE n %% 10 WHEN 0 THEN NULL ELSE now() END"
            " FROM generate_series(1, 20000) n", ()
        )  # fmt: skip
        connection.execute("ANALYZE teams_notifications")
        plan = connection.execute(b"EXPLAIN " + queries["due"], {"limit": 100}).fetchall()
        keys = {"streams": ["s"] * 100, "event_ids": [str(number) for number in range(100)]}
        members = connection.execute(b"EXPLAIN " + queries["notifications"], keys).fetchall()

    assert "teams_notifications_escalation_due_idx" in str(plan)
    assert "teams_notifications_event_id_idx" in str(members)
    assert "Seq Scan on teams_notifications" not in str(plan) + str(members)


async def test_a_critical_event_goes_before_all_others_that_became_due_earlier(
    redis_url: str, database_url: str
):
    for number in range(150):
        waiting(database_url, f"m{number}", "runtime_eng", priority="MEDIUM")
    age(database_url, 240)
    [lead] = waiting(database_url, "e1", "pmo")
    age(database_url, 6)

    async with world(redis_url, database_url) as w:
        assert await w.scheduler().check_due()
        assert w.published[0]["id"] == f"escalation:{lead}:1"
        await w.minutes(0)
        assert len(w.published) == 151


def seconds_to_check(row: dict[str, Any]) -> float | None:
    at = row["escalation_check_at"]
    return at and (at - row["waiting_since"]).total_seconds()


async def test_a_new_event_is_checked_once_for_all_its_channels_and_when_it_is_due(
    database_url: str,
):
    both = await recorded(
        database_url,
        {"event_id": "e1", "channel": "sre"},
        {"event_id": "e1", "channel": "pmo"},
        {"event_id": "m1", "channel": "sre", "priority": "MEDIUM"},
        {"event_id": "l1", "channel": "sre", "priority": "LOW"},
        {"event_id": "i1", "channel": "sre", "priority": "INFO"},
        {"event_id": "escalation:x:1", "channel": "sre", "event_type": "notifier.escalation"},
    )
    checks = {name: seconds_to_check(row) for name, row in both.items()}
    opening = checks.pop("l1 sre")
    escalated = checks.pop("escalation:x:1 sre")

    assert sorted([checks.pop("e1 sre"), checks.pop("e1 pmo")], key=str) == [300, None]
    assert checks == {"m1 sre": 7200, "i1 sre": None}
    assert opening is not None
    assert opening > 0
    # Its event may have been acknowledged meanwhile.
    assert escalated is not None
    assert escalated < 60

    later = await recorded(database_url, {"event_id": "e1", "channel": "devops"})
    assert seconds_to_check(later["e1 devops"]) is None


@pytest.mark.parametrize("days", [-30, 30])
@pytest.mark.parametrize("wrong", ["daemon", "redis"])
async def test_no_clock_that_is_wrong_decides_since_when_an_event_waits(
    database_url: str, wrong: str, days: int
):
    now = datetime.now(UTC)
    away = now + timedelta(days=days)
    sent = {"sent_at": away.isoformat()} if wrong == "daemon" else {}

    found = await recorded(
        database_url,
        {"event_id": "e1", "channel": "sre", **sent},
        arrived=away if wrong == "redis" else now,
    )

    assert abs(found["e1 sre"]["waiting_since"] - now) < timedelta(minutes=1)
    assert abs(found["e1 sre"]["escalation_check_at"] - now) < timedelta(minutes=6)


async def test_a_daemon_whose_clock_is_wrong_escalates_in_time_and_ends_nothing(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        w.ahead = timedelta(days=30)
        assert await w.minutes(4.5) == []
        assert await w.minutes(1) == [(f"escalation:{lead}:1", "nphies_integration")]
        await w.minutes(8 * 24 * 60)
        assert [row["escalation_check_at"] is None for row in rows(database_url)] == [False]

        w.ahead = timedelta()
        await w.minutes(61)
        assert [row["escalation_check_at"] is None for row in rows(database_url)] == [True]


async def test_shorter_times_hold_for_events_that_wait_already(
    redis_url: str, database_url: str
):
    found = await recorded(
        database_url,
        *({"event_id": f"m{n}", "channel": "sre", "priority": "MEDIUM"} for n in range(3)),
    )
    assert {seconds_to_check(row) for row in found.values()} == {7200}
    age(database_url, 30)
    async with world(redis_url, database_url) as w:
        shorter = w.config.escalation.MEDIUM.model_copy(update={"after_seconds": 600})
        scheduler = w.scheduler()
        await scheduler.step()
        assert w.published == []

        changed = w.config.escalation.model_copy(
            update={"MEDIUM": shorter, "poll_seconds": 0.05}
        )
        w.config = w.config.model_copy(update={"escalation": changed})
        for _ in range(9):
            await scheduler.step()
        assert len(w.published) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        "sent_at = '-infinity'",
        "sent_at = '20000-01-01', created_at = '20000-01-01'",
    ],
)
async def test_a_row_that_cannot_be_is_left_and_the_others_escalate(
    redis_url: str, database_url: str, spoil: str
):
    for number in range(5):
        waiting(database_url, f"e{number}", "pmo")
    age(database_url, 6)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"UPDATE teams_notifications SET {spoil} WHERE event_id = 'e2'".encode()
        )
    async with world(redis_url, database_url) as w:
        scheduler = w.scheduler()
        await scheduler.check_due()
        assert len(w.published) == 4
        first = put_off_seconds(database_url)
        assert first > 0
        age(database_url, 1)
        await scheduler.check_due()
        assert put_off_seconds(database_url) > 2 * first
        assert len(w.published) == 4


def put_off_seconds(database_url: str) -> float:
    query = "SELECT extract(epoch FROM escalation_check_at - now())::float8 AS seconds FROM teams_notifications WHERE event_id = 'e2'"
    return float(rows(database_url, query)[0]["seconds"])


async def test_of_all_rows_that_the_version_before_checks_one_drives_the_event(
    redis_url: str, database_url: str
):
    waiting(database_url, "e1", "pmo compliance security_eng")
    async with world(redis_url, database_url) as w:
        await w.minutes(0)

    assert [row["escalation_check_at"] is None for row in rows(database_url)].count(False) == 1
