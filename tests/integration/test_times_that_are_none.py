"""Rows whose times Python has not: readers go on and show the others."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from notifier.escalation.repository import FactsRepository, unacknowledged_critical
from notifier.ops.trace.repository import TraceRepository
from notifier.web.console.repository import ConsoleRepository, Wanted
from tests.support.commands import notifier
from tests.support.databases import reading

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
