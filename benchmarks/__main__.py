"""Measure, print tables, and with --write keep the results: `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import page, plot, tables
from benchmarks.field import Contender, Notifier, contenders
from benchmarks.parts import (
    backlog_cost,
    crash,
    escalation,
    idle,
    latency,
    receiver_rate,
    replay,
    start,
    throughput,
    two,
)
from benchmarks.work import event_bytes
from benchmarks.world import World, open_world

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs" / "explanation"
RESULTS = HERE / "results" / "bench.json"
PARTS = (
    "throughput",
    "latency",
    "start",
    "idle",
    "backlog",
    "crash",
    "replay",
    "two",
    "escalation",
)
FIELD = ("notifier", "floor", "faststream", "taskiq", "celery")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for; returns the exit code."""
    given = _arguments(arguments)
    if given.write and (set(PARTS) - set(given.only) or set(FIELD) - set(given.field)):
        print("--write keeps whole runs only: leave --only and --field out", file=sys.stderr)
        return 2
    with open_world() as world:
        results = _measured(world, given)
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    for part, (title, table) in tables.SECTIONS.items():
        if part in results:
            print(f"\n{title}\n\n{table(results)}")
    print(f"\nTargets\n\n{tables.judged(results)}")
    if given.json:
        given.json.write_text(text, "utf-8")
    if given.write:
        _write(results, text)
    return 0


def _measured(world: World, given: argparse.Namespace) -> dict[str, Any]:
    field = contenders(given.field)
    results: dict[str, Any] = {
        "machine": _machine(world),
        "event_bytes": event_bytes(12345),
        "titles": {contender.name: contender.title for contender in field},
        "how": {contender.name: contender.how for contender in field},
        "receiver": receiver_rate.measure(world, seconds=2),
    }
    for part, measure in _parts(world, field, given).items():
        if part in given.only:
            begin = time.perf_counter()
            results[part] = measure()
            print(f"{part}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    return results


def _parts(
    world: World, field: list[Contender], given: argparse.Namespace
) -> dict[str, Callable[[], dict[str, object]]]:
    sizes = [int(size) for size in given.backlog.split(",")]
    return {
        "throughput": lambda: throughput.measure(
            world, field, events=given.events, rounds=given.rounds
        ),
        "latency": lambda: latency.measure(
            world, field, rate=given.rate, seconds=given.seconds
        ),
        "start": lambda: start.measure(world, field, rounds=given.rounds),
        "idle": lambda: idle.measure(world, field, seconds=given.seconds),
        "backlog": lambda: backlog_cost.measure(world, Notifier(), sizes=sizes),
        "crash": lambda: crash.measure(
            world, field, events=given.events // 2, patience_seconds=22
        ),
        "replay": lambda: replay.measure(world, Notifier(), letters=given.events // 2),
        "escalation": lambda: escalation.measure(
            world, events=given.events, rounds=given.rounds, waiting=max(sizes) * 2
        ),
        "two": lambda: two.measure(world, events=given.events, rounds=given.rounds),
    }


def _machine(world: World) -> dict[str, object]:
    version = world.database.execute("SHOW server_version").fetchone()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpus": len(os.sched_getaffinity(0)),
        "machine": f"{platform.machine()}, {memory:.0f} GB, Linux {platform.release().split('-')[0]}",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "redis": world.client.info("server")["redis_version"],
        "postgres": version[0].split(" ")[0] if version else "",
    }


def _write(results: dict[str, Any], text: str) -> None:
    RESULTS.write_text(text, "utf-8")
    (DOCS / "benchmarks.md").write_text(page.page(results), "utf-8")
    part, titles = results["throughput"]["contenders"], results["titles"]
    own = titles["notifier"]
    cpu = {titles[name]: each["cpu_us"] for name, each in part.items()}
    rate = {titles[name]: each["per_second"] for name, each in part.items()}
    (DOCS / "benchmarks-cpu.svg").write_text(
        plot.bars("Processor time per notification (less is better)", cpu, unit="µs", own=own)
    )
    (DOCS / "benchmarks-rate.svg").write_text(
        plot.bars("Deliveries per second (more is better)", rate, unit="", own=own)
    )


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is unknown; choose from {', '.join(known)}")  # fmt: skip
        return given

    return names


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", type=_names(PARTS), default=list(PARTS), help=f"parts, of {','.join(PARTS)}")  # fmt: skip
    parser.add_argument("--field", type=_names(FIELD), default=list(FIELD), help=f"contenders, of {','.join(FIELD)}")  # fmt: skip
    parser.add_argument("--events", type=int, default=5000, help="events of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=200, help="events a second for latency")
    parser.add_argument("--seconds", type=float, default=10, help="of latency and idle")
    parser.add_argument("--backlog", default="1000,10000,50000", help="sizes of backlogs")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--write", action="store_true", help="write results/bench.json, docs/explanation/benchmarks.md and its plots")  # fmt: skip
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
