"""Targets of the daemon's speed, and whether a result meets them; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target beside what was measured."""

    target: str
    measured: str
    met: bool | None
    """None where this machine cannot tell."""


def verdicts(results: Results) -> list[Verdict]:
    """Judge the measurements of a run."""
    found: list[Verdict] = []
    if "throughput" in results:
        found += _throughput(results["throughput"]["contenders"])
    if "latency" in results and "notifier" in results["latency"]["contenders"]:
        p99 = results["latency"]["contenders"]["notifier"]["p99_ms"]
        rate = results["latency"]["rate"]
        found.append(_most(f"XADD to request at {rate} events a second, p99 in ms", p99, 25))
    if "start" in results and "notifier_ready_s" in results["start"]:
        found.append(
            _most("seconds from start to ready", results["start"]["notifier_ready_s"], 1)
        )
    if "idle" in results and "notifier" in results["idle"]["core_percent"]:
        percent = results["idle"]["core_percent"]["notifier"]
        found.append(_most("idle, in % of a core", percent, 1))
    if "backlog" in results:
        sizes = results["backlog"]["sizes"]
        largest = max(sizes, key=lambda each: each["waiting"])
        found.append(
            _most(f"memory with {largest['waiting']:,} waiting, in MB", largest["highest_mb"], 120)
        )  # fmt: skip
    if "escalation" in results:
        part = results["escalation"]
        found += [
            _most("escalation's part of a delivery's processor time", part["share"], 0.1),
            _most(
                f"seconds that a CRITICAL event escalates late behind {part['waiting']:,} that are due",
                max(part["late_behind_due_s"], part["late_behind_waiting_s"]),
                5,
            ),
        ]
    if "two" in results:
        found.append(_two(results["two"]))
    return found


def _throughput(contenders: Mapping[str, Any]) -> list[Verdict]:
    if "notifier" not in contenders:
        return []
    own, found = contenders["notifier"], []
    if "floor" in contenders:
        times = own["cpu_us"] / contenders["floor"]["cpu_us"]
        found.append(_most("processor time per notification, times the floor's", times, 1.5))
    for peer, least in (("celery", 8), ("faststream", 3)):
        if peer in contenders:
            times = own["per_second"] / contenders[peer]["per_second"]
            found.append(_least(f"deliveries per second, times {peer}'s", times, least))
    return found


def _two(two: Mapping[str, Any]) -> Verdict:
    # Redis, Postgres and the receiver need a core of their own, and each process one.
    enough = two["cpus"] >= _CORES_FOR_TWO
    name = f"deliveries of two processes on {two['cpus']} cores, times those of one"
    verdict = _least(name, two["ratio"], 1.7)
    return verdict if enough or verdict.met else Verdict(verdict.target, verdict.measured, None)


_CORES_FOR_TWO = 4


def _most(name: str, value: float, bound: float) -> Verdict:
    return Verdict(f"{name}: at most {bound:g}", f"{value:.3g}", value <= bound)


def _least(name: str, value: float, bound: float) -> Verdict:
    return Verdict(f"{name}: at least {bound:g}", f"{value:.3g}", value >= bound)
