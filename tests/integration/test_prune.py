"""Audit rows go when they are old, critical ones later."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from notifier.config.models import AuditSettings
from notifier.errors import StoreError
from notifier.ops.retention import count_old, prune
from tests.support.commands import notifier
from tests.support.databases import writing


def add(url: str, *, priority: str, days: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at)"
            " VALUES (%s, 's', '1-0', 'e', 'c', 'a.b', 'sre', %s, 'delivered', now() - make_interval(days => %s))",
            (str(uuid.uuid4()), priority, days),
        )


def left(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT priority, round(extract(epoch FROM now() - sent_at) / 86400)::integer FROM teams_notifications ORDER BY 1, 2"
        ).fetchall()


def test_old_rows_go_and_critical_ones_stay_longer(database_url: str) -> None:
    for priority in ("CRITICAL", "LOW"):
        for days in (1, 89, 100, 400):
            add(database_url, priority=priority, days=days)

    counted = notifier("prune", "--dry-run", DATABASE_URL=database_url)
    assert counted.stdout.strip() == "3 rows are old, 1 of them critical"
    assert len(left(database_url)) == 8

    assert notifier("prune", DATABASE_URL=database_url).stdout.strip() == "deleted 3 rows"
    kept = [("CRITICAL", 1), ("CRITICAL", 89), ("CRITICAL", 100), ("LOW", 1), ("LOW", 89)]
    assert left(database_url) == kept


def test_a_row_counts_from_when_the_servers_took_it_if_a_daemons_clock_was_behind(
    database_url: str,
) -> None:
    for _ in range(2):
        add(database_url, priority="LOW", days=400)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET waiting_since = now() WHERE id = (SELECT min(id::text)::uuid FROM teams_notifications)"
        )

    assert notifier("prune", "--dry-run", DATABASE_URL=database_url).stdout.startswith("1 ")
    assert notifier("prune", DATABASE_URL=database_url).stdout.strip() == "deleted 1 rows"
    assert left(database_url) == [("LOW", 400)]


def test_what_people_did_goes_with_the_oldest_rows_it_may_belong_to(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for days in (100, 400):
            connection.execute(
                "INSERT INTO teams_actions VALUES (gen_random_uuid(), 'acknowledge', 'Sara', '', 'page', now() - make_interval(days => %s))",
                (days,),
            )
            connection.execute(
                "INSERT INTO teams_escalations VALUES ('s', %s, 1, 'sre', 'unanswered', gen_random_uuid(), gen_random_uuid(), NULL,"
                " now() - make_interval(days => %s))",
                (str(days), days),
            )
    notifier("prune", DATABASE_URL=database_url)

    with psycopg.connect(database_url) as connection:
        for table in ("teams_actions", "teams_escalations"):
            found = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            assert found == (1,)


def test_the_days_are_settings_and_critical_ones_cannot_be_fewer(database_url: str) -> None:
    add(database_url, priority="LOW", days=10)
    done = notifier("prune", DATABASE_URL=database_url, TEAMS_AUDIT_RETENTION_DAYS="5")
    assert done.stdout.strip() == "deleted 1 rows"
    wrong = notifier("prune", DATABASE_URL=database_url, TEAMS_AUDIT_RETENTION_DAYS="400")
    assert wrong.returncode == 3
    assert "critical_retention_days" in wrong.stderr


@pytest.mark.parametrize("apart", [timedelta(days=3650), timedelta(days=-3650), timedelta(seconds=90)])  # fmt: skip
@pytest.mark.parametrize("work", [prune, count_old])
def test_nothing_goes_while_the_clocks_of_server_and_machine_differ(
    database_url: str, apart: timedelta, work: Callable[..., Coroutine[None, None, object]]
) -> None:
    add(database_url, priority="LOW", days=400)

    with pytest.raises(StoreError, match="clock"):
        asyncio.run(
            work(
                writing(database_url),
                AuditSettings(retention_days=90, critical_retention_days=365),
                now=lambda: datetime.now(UTC) + apart,
            )
        )

    assert len(left(database_url)) == 1
