"""Run the fuzzer: python -m tests.fuzz --inputs 1000000 --seed 1."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

from tests.fuzz.runner import Report, run
from tests.fuzz.targets import targets

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "fuzz.json"


def main() -> int:
    """Feed every target its share, print a table; 1 when something was found."""
    parser = argparse.ArgumentParser(description="Feed parsers spoiled inputs.")
    parser.add_argument("--inputs", type=int, default=100_000, help="over all targets")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--target", help="only this one; it gets all inputs")
    parser.add_argument("--only", type=int, help="only this input's number: repeat a finding")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    began = time.monotonic()
    reports: list[Report] = []
    with tempfile.TemporaryDirectory() as folder:
        for target in targets(Path(folder)):
            if given.target not in (None, target.name):
                continue
            if given.only is not None:
                print(repr(target.make(Random(f"{given.seed}:{target.name}:{given.only}"))))
            count = given.inputs if given.target else given.inputs * target.share // 100
            first, count = (given.only, 1) if given.only is not None else (0, count)
            report = run(target, seed=given.seed, first=first, count=count)
            reports.append(report)
            print(_line(report), flush=True)
            for number, text in report.findings[:5]:
                print(
                    f"--- repeat with: --target {target.name} --seed {given.seed} --only {number}\n{text}"
                )
    total = sum(report.inputs for report in reports)
    found = sum(len(report.findings) for report in reports)
    print(f"{total} inputs, {found} findings, {time.monotonic() - began:.0f} s")
    if given.write:
        RESULTS.write_text(json.dumps(_record(given.seed, reports), indent=2) + "\n")
    return 1 if found else 0


def _line(report: Report) -> str:
    each = report.seconds / max(1, report.inputs) * 1e6
    return (
        f"{report.target:<9} {report.inputs:>9} inputs {len(report.findings):>3} findings {each:>7.0f} µs each, "
        f"slowest {report.slowest_seconds * 1000:.0f} ms (number {report.slowest})"
    )


def _record(seed: str, reports: list[Report]) -> dict[str, object]:
    return {
        "seed": seed,
        "python": platform.python_version(),
        "inputs": sum(report.inputs for report in reports),
        "targets": [asdict(report) for report in reports],
    }


if __name__ == "__main__":
    sys.exit(main())
