"""Measure the time from XADD to the receiver at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.field import Contender
from benchmarks.figures import percentile
from benchmarks.work import CHANNELS
from benchmarks.world import World


def run(world: World, contender: Contender, *, rate: int, seconds: float) -> dict[str, float]:
    """Publish `rate` events a second; return percentiles in milliseconds."""
    program = contender.started(world)
    first = len(CHANNELS)
    events = int(rate * seconds)
    added: dict[int, int] = {}
    try:
        before, begin = program.cpu_seconds(), time.perf_counter()
        for number in range(first, first + events):
            wait = begin + (number - first) / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            added[number] = time.monotonic_ns()
            contender.publish(world, [number])
        contender.until_done(world, first + events, seconds=120)
        cpu = program.cpu_seconds() - before
        waits = [
            (at - added[number]) / 1e6
            for number, at in world.receiver.arrivals()
            if number in added
        ]
        return {
            "p50_ms": round(percentile(waits, 50), 2),
            "p95_ms": round(percentile(waits, 95), 2),
            "p99_ms": round(percentile(waits, 99), 2),
            "highest_ms": round(max(waits), 2),
            "cpu_us": round(cpu / events * 1e6, 1),
        }
    finally:
        program.kill()


def measure(
    world: World, field: Sequence[Contender], *, rate: int, seconds: float
) -> dict[str, object]:
    """Measure all contenders in turns."""
    return {
        "rate": rate,
        "seconds": seconds,
        "contenders": {
            contender.name: run(world, contender, rate=rate, seconds=seconds)
            for contender in field
        },
    }
