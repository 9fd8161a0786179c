"""The command notifier report, on a real audit trail."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from notifier.store.database import load_queries
from notifier.store.migrations import migrate_down
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.state import rows
from tests.support.waiting import until

SINCE, UNTIL = "2026-11-20", "2026-11-23"
START = datetime(2026, 11, 20, tzinfo=UTC)
SEED_RATE = "SELECT (COUNT(*) FILTER (WHERE status_code < 400)::float / COUNT(*)) AS value FROM teams_notifications"
SEED_TIME = """SELECT EXTRACT(EPOCH FROM AVG(acknowledged_at - sent_at))::float AS value FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NOT NULL"""
SEED_WAITING = "SELECT COUNT(*) AS value FROM teams_notifications_unacknowledged_critical"


class Trail:
    """Writes rows as the recorder would."""

    def __init__(self, url: str) -> None:
        self.url = url

    def add(
        self,
        number: int = 1,
        *,
        after: timedelta = timedelta(hours=1),
        channel: str = "sre",
        priority: str = "LOW",
        event_type: str = "a.b",
        reason: str | None = None,
        taken_after: float | None = None,
        durations: tuple[float, ...] = (0.5,),
        digest: str | None = None,
    ) -> None:
        with psycopg.connect(self.url) as connection:
            at = START + after
            taken = None if taken_after is None else at + timedelta(seconds=taken_after)
            for _ in range(number):
                [row] = connection.execute(
                    "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status,"
                    " status_code, retry_count, sent_at, acknowledged_at, acknowledged_by, action_taken, dead_letter_reason, digest_id)"
                    " VALUES (gen_random_uuid(), 's', '1-0', gen_random_uuid(), 'c', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
                    (event_type, channel, priority, "dead_lettered" if reason else "delivered", 400 if reason else 202, len(durations) - 1, at,
                     taken, "Sara Patient-Name" if taken else None, "acknowledge" if taken else None, reason, digest),
                ).fetchall()  # fmt: skip
                for place, duration in enumerate(durations, start=1):
                    connection.execute(
                        "INSERT INTO teams_notification_attempts VALUES (%s, %s, %s, %s, 202, NULL)",
                        (row[0], place, at - timedelta(seconds=place), duration),
                    )


@pytest.fixture
def trail(database_url: str) -> Trail:
    return Trail(database_url)


def report(trail: Trail, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = notifier("report", "--since", SINCE, "--until", UNTIL, *arguments, DATABASE_URL=trail.url)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def record(trail: Trail, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report(trail, "--json", *arguments).stdout)
    return found


def success(found: dict[str, Any]) -> dict[str, Any]:
    return {metric["key"]: metric["value"] for metric in found["success_metrics"]}


def test_the_success_metrics_agree_with_the_queries_of_the_checklist(trail: Trail):
    trail.add(97)
    trail.add(3, reason="rejected")
    trail.add(2, priority="CRITICAL", taken_after=60)
    trail.add(priority="CRITICAL", taken_after=600)
    trail.add(4, priority="CRITICAL")

    found = success(record(trail))

    assert found["delivery_rate"] == pytest.approx(rows(trail.url, SEED_RATE)[0]["value"])
    assert found["critical_acknowledgement_seconds"] == pytest.approx(240)
    assert rows(trail.url, SEED_TIME)[0]["value"] == pytest.approx(240)
    assert found["unacknowledged_critical"] == rows(trail.url, SEED_WAITING)[0]["value"] == 4
    assert found["test_coverage"] is None


def test_the_p95_is_that_of_every_attempt_and_a_digest_s_post_counts_once(trail: Trail):
    for hundredth in range(1, 101):
        trail.add(durations=(hundredth / 100,), after=timedelta(seconds=hundredth))
    digest = "00000000-0000-4000-8000-000000000001"
    trail.add(50, digest=digest, durations=(9.0,), channel="pmo")

    latency = record(trail)["latency_by_channel"]

    assert latency[0] == {"name": "pmo", "posts": 1, "p50_seconds": 9, "p95_seconds": 9, "p99_seconds": 9}  # fmt: skip
    assert latency[1]["posts"] == 100
    assert latency[1]["p95_seconds"] == pytest.approx(0.9505)


def test_counts_of_the_period_are_by_channel_priority_type_and_reason(trail: Trail):
    trail.add(3, channel="pmo", priority="HIGH", event_type="backup.failed", durations=(0.1, 0.2))  # fmt: skip
    trail.add(2, reason="rejected")
    trail.add(reason="card_error", channel="pmo")
    trail.add(4, after=timedelta(seconds=-1))
    trail.add(5, after=timedelta(days=3))

    found = record(trail)

    assert [(each["name"], each["total"], each["dead_lettered"], each["retried"]) for each in found["by_channel"]] == [
        ("pmo", 4, 1, 3), ("sre", 2, 2, 0),
    ]  # fmt: skip
    assert {each["name"]: each["total"] for each in found["by_priority"]} == {"HIGH": 3, "LOW": 3}  # fmt: skip
    assert {each["name"]: each["delivered"] for each in found["by_event_type"]} == {"backup.failed": 3, "(others)": 0}  # fmt: skip
    assert found["dead_letters"] == {"rejected": 2, "card_error": 1}


def test_a_type_that_a_producer_made_up_is_not_named(trail: Trail):
    trail.add(event_type="claim.of.10987650")

    shown = report(trail).stdout + report(trail, "-o", "html").stdout

    assert "(others)" in shown
    assert "10987650" not in shown


def test_the_trend_has_each_day_of_the_time_zone_also_empty_ones(trail: Trail):
    trail.add(2, after=timedelta(hours=20))
    trail.add(3, after=timedelta(hours=22), reason="rejected")
    trail.add(priority="CRITICAL", after=timedelta(hours=50), taken_after=120, durations=(1.5,))

    trend = record(trail)["trend"]

    days = [
        (slot["start"], slot["total"], slot["delivered"], slot["latency_p95_seconds"], slot["critical_acknowledgement_seconds"]) for slot in trend
    ]  # fmt: skip
    assert days == [
        ("2026-11-19T21:00:00Z", 2, 2, 0.5, None),
        ("2026-11-20T21:00:00Z", 3, 0, 0.5, None),
        ("2026-11-21T21:00:00Z", 1, 1, 1.5, 120),
        ("2026-11-22T21:00:00Z", 0, 0, None, None),
    ]


def test_acknowledgement_times_are_spread_over_their_bounds(trail: Trail):
    for after in (30, 60, 200, 1000, 20_000):
        trail.add(priority="CRITICAL", taken_after=after)

    [taken] = record(trail)["acknowledged"]

    assert taken["taken"] == 5
    assert taken["median_seconds"] == 200
    assert list(taken["taken_within_seconds"].values()) == [2, 3, 3, 4, 4, 4]


def test_check_names_missed_targets_and_exits_1(trail: Trail):
    trail.add(9)
    assert report(trail, "--check").stderr == ""
    trail.add(reason="rejected")

    done = report(trail, "--check", code=1)

    assert "target missed: Notification delivery rate is 90 %, not > 99 %" in done.stderr
    assert report(trail).returncode == 0


def test_every_format_is_written_to_a_file_whole(trail: Trail, tmp_path: Path):
    trail.add(9, priority="CRITICAL", taken_after=60)
    for form in ("table", "json", "html"):
        file = tmp_path / f"report.{form}"
        assert report(trail, "-o", form, "--file", str(file)).stdout == ""
        text = file.read_text()
        assert "P95 webhook latency" in text
        assert "Patient-Name" not in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_empty_audit_trail_is_a_report_too(trail: Trail):
    found = record(trail)
    assert success(found) == {
        "delivery_rate": None, "critical_acknowledgement_seconds": None, "test_coverage": None, "webhook_latency_p95_seconds": None,
        "unacknowledged_critical": 0,
    }  # fmt: skip
    assert "not measured" in report(trail).stdout
    assert report(trail, "--check").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "recently"], "how long ago"),
        (["--since", "1h", "--until", "60m"], "before --until 60m"),
        (["--since", "2000-01-01"], "5 years"),
        (["--format", "pdf"], "pdf"),
        (["-o", "pdf"], "pdf is not a format"),
    ],
)
def test_wrong_use_is_exit_2_and_says_the_expected_form(arguments: list[str], said: str):
    done = notifier("report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_that_cannot_be_written_and_servers_that_do_not_answer_are_named(
    trail: Trail, tmp_path: Path
):
    done = report(trail, "--format", "html", "--output", str(tmp_path / "no" / "r.html"), code=1)  # fmt: skip
    assert "cannot be written" in done.stderr
    away = "postgresql://nobody:secret@127.0.0.1:1/none"
    done = notifier("report", DATABASE_URL=away)
    assert done.returncode == 4
    assert "database.url" in done.stderr
    assert "secret" not in done.stderr


def test_an_older_schema_is_exit_5(trail: Trail):
    while "0008.dead_letter_reason" not in migrate_down(trail.url):
        pass
    assert "migrate up" in report(trail, code=5).stderr


def test_a_short_period_of_a_long_trail_is_read_by_the_index(trail: Trail):
    with psycopg.connect(trail.url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at)"
            " SELECT gen_random_uuid(), 's', '1-0', g::text, 'c', 'a.b', 'sre', 'LOW', 'delivered', %s::timestamptz - make_interval(mins => g)"
            " FROM generate_series(1, 20000) g",
            (START + timedelta(days=3),),
        )
        connection.execute("ANALYZE teams_notifications")
        values = {
            "since": START + timedelta(days=2), "until": START + timedelta(days=3), "slot": "hour", "time_zone": "UTC", "known_types": ["a.b"],
        }  # fmt: skip
        queries = load_queries("notifier.ops.report", "report.sql")
        for name in ("counts", "dead_letters", "latency", "acknowledgements"):
            plan = connection.execute(b"EXPLAIN " + queries[name], values).fetchall()
            text = "\n".join(row[0] for row in plan)
            assert "teams_notifications_sent_at_idx" in text, name
            assert "Seq Scan on teams_notifications " not in text, name


async def test_deliveries_and_dead_letters_of_a_daemon_are_in_the_report(daemons: Daemons):
    await daemons.start()
    daemons.publish(type="backup.failed")
    await until(lambda: len(daemons.rows()) == 1)
    daemons.receiver.answer(400, times=1)
    daemons.publish(type="backup.failed", n="2")
    await until(lambda: len(daemons.rows()) == 2)
    await until(lambda: not daemons.left_over())

    done = notifier("report", "--since", "1h", "--json", DATABASE_URL=daemons.database_url)  # fmt: skip

    found = json.loads(done.stdout)
    assert found["notifications"] == {"total": 2, "delivered": 1, "dead_lettered": 1, "retried": 0, "delivery_rate": 0.5}  # fmt: skip
    assert found["dead_letters"] == {"rejected": 1}
    assert found["latency"]["posts"] == 2
