"""Kill -9 during the work, start again at once, and count the cards."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks.field import Contender
from benchmarks.work import CHANNELS
from benchmarks.world import World, wait_until


def run(
    world: World, contender: Contender, *, events: int, patience_seconds: float
) -> dict[str, object]:
    """Return seconds from the restart until all is done, and the losses."""
    program = contender.started(world)
    first = len(CHANNELS)
    try:
        program.signal(signal.SIGSTOP)
        contender.publish(world, range(first, first + events))
        program.signal(signal.SIGCONT)
        wait_until(
            lambda: world.receiver.count() >= first + events // 3,
            f"{contender.name}: a third",
            seconds=120,
            every=0.005,
        )
    finally:
        program.kill()
    at_kill = world.receiver.count()
    program = contender.start(world)
    try:
        done = _done_after(world, contender, first + events, patience_seconds)
    finally:
        program.kill()
    posts = Counter(number for number, _ in world.receiver.arrivals())
    return {
        "posted_at_kill": at_kill - first,
        "done_after_s": done,
        "missing_rows": first + events - world.rows(contender.table),
        "never_posted": first + events - len(posts),
        "posted_again": sum(posts.values()) - len(posts),
    }


def _done_after(
    world: World, contender: Contender, rows: int, patience_seconds: float
) -> float | None:
    """Return the seconds until all is done, or None when progress stops."""
    begin = changed = time.perf_counter()
    state = (-1, -1)
    while time.perf_counter() - changed < patience_seconds:
        now = (world.receiver.count(), world.rows(contender.table))
        if min(now) >= rows and not contender.waiting(world):
            return round(time.perf_counter() - begin, 2)
        if now != state:
            state, changed = now, time.perf_counter()
        time.sleep(0.05)
    return None


def measure(
    world: World, field: Sequence[Contender], *, events: int, patience_seconds: float
) -> dict[str, object]:
    """Kill each contender once."""
    return {
        "events": events,
        "patience_s": patience_seconds,
        "contenders": {
            contender.name: run(
                world, contender, events=events, patience_seconds=patience_seconds
            )
            for contender in field
        },
    }
