"""Measure the cost of one notification while ever more of them wait."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.field import Notifier
from benchmarks.parts import throughput
from benchmarks.world import World


def measure(world: World, notifier: Notifier, *, sizes: Sequence[int]) -> dict[str, object]:
    """Let notifier deliver each backlog as a whole."""
    found = []
    for size in sizes:
        run = throughput.run(world, notifier, size)
        found.append(
            {
                "waiting": size,
                "cpu_us": run.cpu_us,
                "per_second": run.per_second,
                "highest_mb": run.highest_mb,
            }
        )
    return {"sizes": found}
