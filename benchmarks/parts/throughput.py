"""Measure processor time, deliveries per second and memory of a backlog."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.field import Contender
from benchmarks.figures import median, spread
from benchmarks.work import CHANNELS
from benchmarks.world import World

DRAIN_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender."""

    cpu_us: float
    """User and system time per notification, all its processes."""
    per_second: float
    """Notifications that were posted, recorded and acknowledged, per second."""
    pss_mb: float
    highest_mb: float
    posts: int


def run(world: World, contender: Contender, events: int) -> Run:
    """Let one contender deliver `events` notifications that wait for it."""
    program = contender.started(world)
    warm = len(CHANNELS)
    try:
        # It is stopped while events are added, so that publishing costs it nothing and all of them wait.
        program.signal(signal.SIGSTOP)
        contender.publish(world, range(warm, warm + events))
        before, begin = program.cpu_seconds(), time.perf_counter()
        program.signal(signal.SIGCONT)
        contender.until_done(world, warm + events, seconds=DRAIN_SECONDS)
        seconds = time.perf_counter() - begin
        cpu = program.cpu_seconds() - before
        memory = program.memory()
        return Run(
            round(cpu / events * 1e6, 1),
            round(events / seconds, 1),
            round(memory.pss_mb, 1),
            round(memory.highest_mb, 1),
            world.receiver.count() - warm,
        )
    finally:
        program.kill()


def measure(
    world: World, field: Sequence[Contender], *, events: int, rounds: int
) -> dict[str, object]:
    """Run all contenders in turns, `rounds` times; medians count."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in field}
    for _ in range(rounds):
        for contender in field:
            runs[contender.name].append(run(world, contender, events))
    return {
        "events": events,
        "rounds": rounds,
        "contenders": {
            name: {
                "cpu_us": median([each.cpu_us for each in own]),
                "per_second": median([each.per_second for each in own]),
                "pss_mb": median([each.pss_mb for each in own]),
                "highest_mb": median([each.highest_mb for each in own]),
                "cpu_spread": round(spread([each.cpu_us for each in own]), 3),
                "runs": [asdict(each) for each in own],
            }
            for name, own in runs.items()
        },
    }
