"""Measure the time from start to the first card, and to /readyz."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.field import START_SECONDS, Contender, Notifier
from benchmarks.figures import median
from benchmarks.world import World, wait_until


def first_card(world: World, contender: Contender) -> float:
    """Return the seconds until the first card comes."""
    world.reset()
    contender.prepare(world)
    contender.publish(world, [1])
    begin = time.monotonic_ns()
    program = contender.start(world)
    try:
        wait_until(lambda: world.receiver.count() > 0, f"{contender.name} starts", seconds=START_SECONDS)  # fmt: skip
        return (world.receiver.arrivals()[0][1] - begin) / 1e9
    finally:
        program.kill()


def ready(world: World, notifier: Notifier) -> tuple[float, float]:
    """Return seconds and processor seconds until /readyz answers 200."""
    world.reset()
    begin = time.perf_counter()
    program = notifier.start(world)
    try:
        notifier.until_ready()
        return time.perf_counter() - begin, program.cpu_seconds()
    finally:
        program.kill()


def measure(world: World, field: Sequence[Contender], *, rounds: int) -> dict[str, object]:
    """Measure in turns; medians count."""
    first: dict[str, list[float]] = {contender.name: [] for contender in field}
    readies: list[tuple[float, float]] = []
    for _ in range(rounds):
        for contender in field:
            first[contender.name].append(first_card(world, contender))
            if isinstance(contender, Notifier):
                readies.append(ready(world, contender))
    found: dict[str, object] = {
        "rounds": rounds,
        "first_card_s": {name: round(median(own), 3) for name, own in first.items()},
    }
    if readies:
        found["notifier_ready_s"] = round(median([seconds for seconds, _ in readies]), 3)
        found["notifier_ready_cpu_s"] = round(median([cpu for _, cpu in readies]), 3)
    return found
