"""Measure the processor time of idle contenders, all at the same time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.field import Contender
from benchmarks.processes import Program
from benchmarks.work import CHANNELS
from benchmarks.world import World

_SETTLE_SECONDS = 3.0


def measure(world: World, field: Sequence[Contender], *, seconds: float) -> dict[str, object]:
    """Start all, let each deliver one card per channel, and watch them wait."""
    world.reset()
    programs: dict[str, Program] = {}
    try:
        for contender in field:
            contender.prepare(world)
            world.receiver.ask("/reset")
            world.database.execute("TRUNCATE bench_rows, teams_notifications CASCADE")
            programs[contender.name] = contender.start(world)
            contender.publish(world, range(len(CHANNELS)))
            contender.until_done(world, len(CHANNELS), seconds=60)
        time.sleep(_SETTLE_SECONDS)
        before = {name: program.cpu_seconds() for name, program in programs.items()}
        time.sleep(seconds)
        return {
            "seconds": seconds,
            "core_percent": {
                name: round((program.cpu_seconds() - before[name]) / seconds * 100, 2)
                for name, program in programs.items()
            },
        }
    finally:
        for program in programs.values():
            program.kill()
