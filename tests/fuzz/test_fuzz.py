"""Some thousand spoiled inputs per parser; `make fuzz` feeds a million."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import runner
from tests.fuzz.runner import run
from tests.fuzz.targets import Target, targets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [("decoder", 3000), ("template", 3000), ("card", 500), ("config", 300), ("token", 3000)],
)
def test_nothing_that_comes_from_outside_crashes_or_hangs(
    name: str, count: int, tmp_path: Path
):
    [target] = [target for target in targets(tmp_path) if target.name == name]

    report = run(target, seed="pytest", first=0, count=count)

    assert report.findings == []
    assert report.inputs == count


def test_a_crash_and_a_hang_are_found_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "HANG_SECONDS", 0.2)

    def feed(number: Any) -> None:
        if number < 0.1:
            raise ValueError("crash")
        while number > 0.9:
            number = number + 0

    target = Target("sample", 100, lambda random: random.random(), feed)

    report = run(target, seed="s", first=0, count=30)
    again = run(target, seed="s", first=report.findings[0][0], count=1)

    assert {"ValueError: crash", "tests.fuzz.runner.HangError"} == {
        text.strip().rpartition("\n")[2] for _, text in report.findings
    }
    assert len(again.findings) == 1
