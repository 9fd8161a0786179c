"""Results as Markdown tables, for terminal and page alike; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.targets import Results, verdicts

_MET = {True: "yes", False: "**no**", None: "this machine cannot tell"}


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratios(results: Results) -> str:
    """Return the table of ratios: each contender beside notifier."""
    part = results["throughput"]["contenders"]
    own = part["notifier"]
    rows = []
    for name, each in part.items():
        rows.append(
            [
                results["titles"][name],
                f"{each['cpu_us']:.0f}",
                f"{each['cpu_us'] / own['cpu_us']:.2f}",
                f"{each['per_second']:.0f}",
                f"{own['per_second'] / each['per_second']:.1f}",
                f"{each['pss_mb']:.0f}",
            ]
        )
    head = [
        "", "µs per notification", "notifier = 1", "deliveries per second", "notifier's are … times", "memory (MB)",
    ]  # fmt: skip
    return markdown(head, rows)


def waits(results: Results) -> str:
    """Return the table of latencies."""
    part = results["latency"]["contenders"]
    names = ("p50_ms", "p95_ms", "p99_ms", "highest_ms")
    rows = [
        [results["titles"][name], *(f"{each[key]:.1f}" for key in names)]
        for name, each in part.items()
    ]  # fmt: skip
    return markdown(["ms", "p50", "p95", "p99", "highest"], rows)


def starts(results: Results) -> str:
    """Return the table of start and idle."""
    first = results.get("start", {}).get("first_card_s", {})
    idle = results.get("idle", {}).get("core_percent", {})
    rows = [
        [
            results["titles"][name],
            f"{first[name]:.2f}" if name in first else "",
            f"{idle[name]:.2f}" if name in idle else "",
        ]
        for name in dict.fromkeys([*first, *idle])
    ]
    return markdown(["", "seconds from start to first card", "% of a core when idle"], rows)


def backlogs(results: Results) -> str:
    """Return the table of backlogs."""
    rows = [
        [f"{each['waiting']:,}", f"{each['cpu_us']:.0f}", f"{each['per_second']:.0f}", f"{each['highest_mb']:.0f}"]
        for each in results["backlog"]["sizes"]
    ]  # fmt: skip
    return markdown(
        [
            "waiting",
            "µs per notification",
            "deliveries per second",
            "highest memory (MB)",
        ],
        rows,
    )


def crashes(results: Results) -> str:
    """Return the table of kill -9."""
    part = results["crash"]
    rows = [
        [
            results["titles"][name],
            "no" if each["done_after_s"] is None else f"{each['done_after_s']:.1f}",
            str(each["never_posted"]),
            str(each["missing_rows"]),
            str(each["posted_again"]),
        ]
        for name, each in part["contenders"].items()
    ]
    patience = f"{part['patience_s']:.0f} s"
    head = ["", f"all done, seconds after the restart (no: nothing more for {patience})", "never posted", "without a row", "posted again"]  # fmt: skip
    return markdown(head, rows)


def judged(results: Results) -> str:
    """Return the table of targets."""
    rows = [[each.target, each.measured, _MET[each.met]] for each in verdicts(results)]
    return markdown(["target", "measured", "met"], rows)


SECTIONS: Mapping[str, tuple[str, Any]] = {
    "throughput": ("Cost and speed", ratios),
    "latency": ("Latency", waits),
    "start": ("Start and rest", starts),
    "backlog": ("As the backlog grows", backlogs),
    "crash": ("After kill -9", crashes),
}
