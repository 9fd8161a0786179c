"""The benchmark works: a small run with contenders that need no extra."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_small_run_measures_and_prints_every_part_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kept = tmp_path / "bench.json"
    code = main(
        ["--only", "throughput,latency,start,replay,escalation", "--backlog", "100", "--field", "notifier,floor", "--events", "60", "--rounds", "1", "--rate", "20",
         "--seconds", "2", "--json", str(kept)]
    )  # fmt: skip

    assert code == 0
    results = json.loads(kept.read_text())
    for name in ("notifier", "floor"):
        assert [run["posts"] for run in results["throughput"]["contenders"][name]["runs"]] == [
            60
        ]
        assert results["throughput"]["contenders"][name]["cpu_us"] > 0
        assert results["latency"]["contenders"][name]["p50_ms"] > 0
    assert results["receiver"]["per_second"] > 0
    assert results["start"]["notifier_ready_s"] > 0
    assert results["replay"]["replayed_per_second"] > 0
    assert results["escalation"]["cpu_on_us"] > 0
    assert results["escalation"]["steps_per_second"] > 0
    assert "processor time per notification, times the floor's" in capsys.readouterr().out


def test_results_of_a_partial_run_are_not_written_over_those_of_a_whole_one(
    capsys: pytest.CaptureFixture[str],
):
    assert main(["--only", "latency", "--write"]) == 2
    assert "whole runs only" in capsys.readouterr().err
