"""Deliveries per second of two processes beside one, on one Redis."""

from __future__ import annotations

import os
import signal
import time

from benchmarks.field import Notifier
from benchmarks.figures import median
from benchmarks.work import CHANNELS
from benchmarks.world import World


def run(world: World, processes: int, events: int) -> float:
    """Return deliveries per second of so many processes."""
    notifiers = [Notifier() for _ in range(processes)]
    programs = [notifiers[0].started(world)]
    warm = len(CHANNELS)
    try:
        for notifier in notifiers[1:]:
            programs.append(notifier.start(world))
            notifier.until_ready()
        for program in programs:
            program.signal(signal.SIGSTOP)
        notifiers[0].publish(world, range(warm, warm + events))
        begin = time.perf_counter()
        for program in programs:
            program.signal(signal.SIGCONT)
        notifiers[0].until_done(world, warm + events, seconds=900)
        return events / (time.perf_counter() - begin)
    finally:
        for program in programs:
            program.kill()


def measure(world: World, *, events: int, rounds: int) -> dict[str, object]:
    """Measure one and two processes in turns; medians count."""
    one, two = [], []
    for _ in range(rounds):
        one.append(run(world, 1, events))
        two.append(run(world, 2, events))
    return {
        "events": events,
        "cpus": len(os.sched_getaffinity(0)),
        "one_per_second": round(median(one), 1),
        "two_per_second": round(median(two), 1),
        "ratio": round(median(two) / median(one), 2),
    }
