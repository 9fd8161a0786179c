"""The console reads whole families of events, and pages without gaps."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import psycopg
import pytest

from notifier.errors import StoreError
from notifier.store.pool import Pool
from notifier.store.rows import NotificationRow
from notifier.web.console.repository import ConsoleRepository, Wanted
from tests.support.databases import reading
from tests.support.escalation import START, STREAM, acknowledge, record


def escalate(database_url: str, event_id: str, of: str, step: int, channel: str) -> str:
    """Record an escalation to `channel`, with the row of its card."""
    [row_id] = record(database_url, f"escalation:{of}:{step}", channel, event_type="notifier.escalation", at=START + timedelta(minutes=5))  # fmt: skip
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO teams_escalations (stream, event_id, step, channel, cause, notification_id, escalation_id, at)"
            " VALUES (%s, %s, %s, %s, 'unanswered', %s, %s, %s)",
            (STREAM, event_id, step, channel, of, row_id, START + timedelta(minutes=5)),
        )
    return row_id


@pytest.fixture
def store(database_url: str) -> ConsoleRepository:
    return ConsoleRepository(reading(database_url).connection)


async def test_an_event_and_its_escalations_are_one_case(
    database_url: str, store: ConsoleRepository
):
    first, _ = record(database_url, "e1", "sre devops")
    escalate(database_url, "e1", first, 1, "nphies_integration")
    record(database_url, "e2", "pmo", at=START + timedelta(minutes=1))
    record(database_url, "e3", "pmo", priority="HIGH")

    newer, older = await store.unacknowledged()

    assert (newer.event_id, older.event_id) == ("e2", "e1")
    assert set(older.channels) == {"sre", "devops", "nphies_integration"}
    assert older.event_type == "nphies.api.error"
    assert older.since == START
    assert older.steps == ((1, "nphies_integration", START + timedelta(minutes=5)),)
    assert older.acknowledged_by is None


async def test_an_acknowledgement_anywhere_is_of_the_event(
    database_url: str, store: ConsoleRepository
):
    first, _ = record(database_url, "e1", "sre devops")
    acknowledge(database_url, escalate(database_url, "e1", first, 1, "pmo"))

    [event] = await store.unacknowledged()

    assert (event.acknowledged_by, event.acknowledged_in) == ("Sara", "pmo")
    assert set(event.channels) == {"sre", "devops"}


async def test_escalating_by_hand_does_not_acknowledge(
    database_url: str, store: ConsoleRepository
):
    first, _ = record(database_url, "e1", "sre devops")
    acknowledge(database_url, first, "escalate")

    [event] = await store.unacknowledged()

    assert event.acknowledged_by is None
    assert event.channels == ("devops",)


async def test_every_notification_is_on_one_page(database_url: str, store: ConsoleRepository):
    for number in range(7):
        # Three rows with the same time: pages must not lose or repeat any of them.
        record(database_url, f"e{number}", "sre devops pmo", at=START + timedelta(minutes=number // 3))  # fmt: skip
    found: list[NotificationRow] = []
    before = None
    while True:
        page = await store.notifications(Wanted(before=before), limit=4)
        found += page
        if len(page) < 4:
            break
        before = (page[-1].sent_at, page[-1].id)

    assert len({each.id for each in found}) == len(found) == 21
    times = [each.sent_at for each in found]
    assert times == sorted(times, reverse=True)


async def test_filters_of_notifications_are_all_heeded(
    database_url: str, store: ConsoleRepository
):
    record(database_url, "e1", "sre pmo")
    record(database_url, "e2", "sre", priority="HIGH", event_type="backup.failed")

    async def count(wanted: Wanted) -> int:
        return len(await store.notifications(wanted, limit=10))

    assert await count(Wanted()) == 3
    assert await count(Wanted(channel="sre")) == 2
    assert await count(Wanted(priority="HIGH")) == 1
    assert await count(Wanted(event_type="backup.failed", channel="pmo")) == 0
    assert await count(Wanted(status="dead_lettered")) == 0
    assert await count(Wanted(since=START + timedelta(seconds=1))) == 0


async def test_a_locked_table_holds_no_page_for_long(database_url: str):
    pool = Pool(reading(database_url))
    store = ConsoleRepository(partial(pool.connection, 3))
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE teams_notifications IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError, match="took longer"):
            await store.notifications(Wanted(), limit=1)
        # However many look, few of them wait in Postgres.
        looks = [store.unacknowledged() for _ in range(20)]
        results = await asyncio.gather(*looks, return_exceptions=True)

    assert all(isinstance(result, StoreError) for result in results)
    assert await store.notifications(Wanted(), limit=1) == []
    await pool.close()


async def test_an_older_schema_says_what_to_do(empty_database_url: str):
    with pytest.raises(StoreError, match="notifier migrate up"):
        await ConsoleRepository(reading(empty_database_url).connection).unacknowledged()
