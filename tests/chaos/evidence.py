"""Collect the evidence: journals, table, dead letters, and Redis."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import redis

from notifier.events.notification import notification_id
from tests.chaos.checker import Evidence, Kill, Letter, Post, Published, Row
from tests.chaos.journal import Journal
from tests.chaos.plan import ACCEPTED, STREAM, Event, Kind, Settings, Target, escalations, event
from tests.chaos.witness import judge, said, troubles

DEAD = f"{{{STREAM}}}:dead"
_DEAD_REASON = {Kind.HALF_ROUTED: "unknown_channel", Kind.INVALID: "invalid_event"}
_EVENT_ID = re.compile(r"chaos-\d+-\d+")


class Journals:
    """The files of a run."""

    def __init__(self, folder: Path) -> None:
        self.published = Journal(folder / "published.jsonl")
        self.posts = Journal(folder / "posts.jsonl")
        self.hits = Journal(folder / "hits.jsonl")
        self.readiness = Journal(folder / "readiness.jsonl")

    def close(self) -> None:
        """Close them."""
        for journal in (self.published, self.posts, self.hits, self.readiness):
            journal.close()


def collect(
    settings: Settings, journals: Journals, redis_url: str, database_url: str
) -> Evidence:
    """Read everything."""
    accepted = {answer.value for answer in ACCEPTED}
    published = [
        _published(event(settings, line["number"]), line["at"], line["tries"])
        for line in journals.published.lines()
    ]
    return Evidence(
        published=published,
        posts=[
            Post(line["event"], line["channel"], line["answer"] in accepted, line["at"])
            for line in journals.posts.lines()
        ],
        rows=_rows(database_url),
        letters=_letters(redis_url),
        kills=_kills(journals.hits),
        left=left_in_redis(redis_url),
        redis_may_forget=settings.appendfsync != "always",
        escalated_at=_escalated_at(database_url, published),
        readiness=judge(said(journals.readiness), troubles(journals.hits.lines())),
    )


def row_count(database_url: str) -> int:
    """Count the rows."""
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        [count] = connection.execute("SELECT count(*) FROM teams_notifications").fetchone() or [
            0
        ]
        return int(count)


def _escalated_at(
    database_url: str, published: Sequence[Published]
) -> dict[tuple[str, str], float]:
    """Return when each step was recorded; unexpected ones by notification id."""
    names = {
        notification_id(STREAM, event_id, channel): event_id
        for each in published
        for event_id, channel in each.escalations
    }
    query = "SELECT escalation_id::text, channel, extract(epoch FROM at)::double precision FROM teams_escalations"
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        return {
            (names.get(row[0], row[0]), row[1]): float(row[2])
            for row in connection.execute(query)
        }


def entries_added(redis_url: str) -> int:
    """Count the entries that producers have added."""
    with redis.Redis.from_url(redis_url) as client:
        return int(client.xlen(STREAM))


def attempts_recorded(database_url: str) -> int:
    """Count the recorded attempts."""
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        query = "SELECT count(*) FROM teams_notification_attempts"
        [count] = connection.execute(query).fetchone() or [0]
        return int(count)


def left_in_redis(redis_url: str) -> dict[str, int]:
    """Count waiting and unacknowledged entries of every stream.

    Events and dead letters do not count as waiting.
    """
    left: dict[str, int] = {}
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for key in client.scan_iter(_type="stream"):
            if key not in (STREAM, DEAD):
                left[key] = int(client.xlen(key))
        for group in client.xinfo_groups(STREAM):
            left["not acknowledged"] = int(group["pending"])
    return {key: count for key, count in left.items() if count}


def _kills(hits: Journal) -> list[Kill]:
    back = {line["done"]: line["at"] for line in hits.lines() if "done" in line}
    return [
        Kill(line["at"], line["kill"], line["in_flight"], _until(line, back))
        for line in hits.lines()
        if line.get("in_flight")
    ]


def _until(line: Mapping[str, Any], back: Mapping[int, float]) -> float:
    """Return until when nothing that was posted could be noted."""
    if line["kill"] in (Target.REDIS, Target.NETWORK):
        return back.get(line["number"], 0.0)
    return float(line.get("until", 0.0))


def _published(planned: Event, at: float, tries: int) -> Published:
    following = tuple(escalations(planned))
    dead = _DEAD_REASON.get(planned.kind)
    return Published(planned.id, planned.channels, dead, at, tries, following)


def _rows(database_url: str) -> list[Row]:
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        query = "SELECT event_id, channel, status FROM teams_notifications"
        return [Row(*row) for row in connection.execute(query)]


def _letters(redis_url: str) -> list[Letter]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        found = [fields for _, fields in client.xrange(DEAD)]
    return [Letter(_event_of(fields), fields["channel"], fields["reason"]) for fields in found]


def _event_of(fields: dict[str, str]) -> str:
    known = fields["event_id"]
    match = _EVENT_ID.search(known or fields["event"])
    return match[0] if match else known
