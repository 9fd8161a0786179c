"""Measure the cost of escalation, and its delay behind many others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from datetime import datetime

from typing_extensions import override

from benchmarks.field import Notifier
from benchmarks.figures import median
from benchmarks.processes import cpu_seconds_below
from benchmarks.work import CHANNELS, fields
from benchmarks.world import World, wait_until
from notifier.events.notification import notification_id

_ROWS = """
INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, stakeholders, priority, status,
    sent_at, waiting_since, escalation_check_at)
SELECT gen_random_uuid(), 'teams:events', '1-1', %(prefix)s || n, 'c', 'a.b', 'sre', '{sre}', 'MEDIUM', 'delivered', since, since,
    since + interval '2 hours'
FROM generate_series(1, %(count)s) n, (SELECT now() - make_interval(secs => %(seconds)s) AS since) AS s
"""
_CRITICAL = """
INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, stakeholders, priority, status,
    sent_at, waiting_since, escalation_check_at)
SELECT %(id)s, 'teams:events', '1-1', %(event)s, 'c', 'a.b', 'sre', '{sre}', 'CRITICAL', 'delivered', since, since, since + interval '5 min'
FROM (SELECT now() - interval '5 min' + make_interval(secs => %(seconds)s) AS since) AS s
RETURNING escalation_check_at
"""
_DUE_AFTER_SECONDS = 5.0
_LATEST_SECONDS = 120.0


class Escalating(Notifier):
    """The daemon with or without escalation."""

    def __init__(self, *, enabled: bool) -> None:
        super().__init__()
        self._enabled = enabled

    @override
    def env(self, world: World) -> dict[str, str]:
        return super().env(world) | {"TEAMS_ESCALATION__ENABLED": str(int(self._enabled))}

    @override
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        self.add(world, (fields(number) | {"priority": "MEDIUM"} for number in numbers))


def cost_us(world: World, notifier: Notifier, events: int) -> float:
    """Return processor time per notification, of daemon and Postgres."""
    program = notifier.started(world)
    warm = len(CHANNELS)
    try:
        program.signal(signal.SIGSTOP)
        notifier.publish(world, range(warm, warm + events))
        before = program.cpu_seconds() + cpu_seconds_below(os.getpid(), "postgres")
        program.signal(signal.SIGCONT)
        notifier.until_done(world, warm + events, seconds=900)
        after = program.cpu_seconds() + cpu_seconds_below(os.getpid(), "postgres")
        return (after - before) / events * 1e6
    finally:
        program.kill()


def critical_late_s(world: World, notifier: Notifier, rows: int, *, due: bool) -> float:
    """Return the delay of a critical escalation among `rows` MEDIUM ones."""
    program = notifier.started(world)
    try:
        program.signal(signal.SIGSTOP)
        since = 7260 if due else 60
        world.database.execute(_ROWS.encode(), {"prefix": "m", "count": rows, "seconds": since})
        world.database.execute("ANALYZE teams_notifications")
        program.signal(signal.SIGCONT)
        lead = notification_id("teams:events", "critical", "sre")
        values = {"id": lead, "event": "critical", "seconds": _DUE_AFTER_SECONDS}
        [due_at] = world.database.execute(_CRITICAL.encode(), values).fetchall()[0]
        posted: list[datetime] = []

        def came() -> bool:
            found = world.database.execute(
                "SELECT sent_at FROM teams_notifications WHERE event_id = %s",
                (f"escalation:{lead}:1",),
            ).fetchone()
            posted.extend(found or ())
            return bool(found)

        wait_until(came, "the escalation", seconds=_LATEST_SECONDS, every=0.1)
        return (posted[0] - due_at).total_seconds()
    finally:
        program.kill()


def steps_per_second(world: World, notifier: Notifier, rows: int) -> float:
    """Return how many due events escalate a second."""
    program = notifier.started(world)
    try:
        program.signal(signal.SIGSTOP)
        world.database.execute(_ROWS.encode(), {"prefix": "m", "count": rows, "seconds": 7260})
        program.signal(signal.SIGCONT)
        begin = time.perf_counter()
        wait_until(
            lambda: world.rows("teams_escalations") >= rows, "the escalations", seconds=600
        )
        return rows / (time.perf_counter() - begin)
    finally:
        program.kill()


def measure(world: World, *, events: int, rounds: int, waiting: int) -> dict[str, object]:
    """Measure alternately with and without escalation, then the delays."""
    on, off = [], []
    for _ in range(rounds):
        on.append(cost_us(world, Escalating(enabled=True), events))
        off.append(cost_us(world, Escalating(enabled=False), events))
    shipped = Escalating(enabled=True)
    return {
        "events": events,
        "cpu_on_us": round(median(on), 1),
        "cpu_off_us": round(median(off), 1),
        "share": round((median(on) - median(off)) / median(off), 3),
        "waiting": waiting,
        "late_behind_waiting_s": round(critical_late_s(world, shipped, waiting, due=False), 2),
        "late_behind_due_s": round(critical_late_s(world, shipped, waiting, due=True), 2),
        "steps_per_second": round(steps_per_second(world, shipped, max(100, waiting // 20))),
    }
