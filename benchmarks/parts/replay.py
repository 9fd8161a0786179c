"""Measure `notifier dlq replay --all` and the deliveries after it."""

from __future__ import annotations

import subprocess
import time

from benchmarks.field import Notifier
from benchmarks.work import CHANNELS
from benchmarks.world import World, wait_until
from notifier.broker.keys import Keys


def measure(world: World, notifier: Notifier, *, letters: int) -> dict[str, object]:
    """Let the receiver refuse notifications, then replay their dead letters."""
    program = notifier.started(world)
    dead = Keys(notifier.stream).dead
    try:
        world.receiver.ask("/answer/400")
        notifier.publish(world, range(len(CHANNELS), len(CHANNELS) + letters))
        wait_until(lambda: world.client.xlen(dead) == letters, "dead letters", seconds=120)
        world.receiver.ask("/reset")
        begin = time.perf_counter()
        subprocess.run(
            [*notifier.command()[:-1], "dlq", "replay", "--all", "--rate", "0", "--why", "benchmark"],
            env=notifier.env(world), check=True, capture_output=True, timeout=300,
        )  # fmt: skip
        replayed = time.perf_counter() - begin
        wait_until(lambda: world.receiver.count() >= letters, "replayed", seconds=120)
        return {
            "letters": letters,
            "replayed_per_second": round(letters / replayed),
            "delivered_per_second": round(letters / (time.perf_counter() - begin)),
        }
    finally:
        program.kill()
