"""A failure at any await loses no event, and the log names its place.

The ways: a dead letter `internal_error` of the one notification; another try; or the end of the process, with exit code 6,
after which the next process delivers the rest. Each is in the log.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_FEW = 40
"""Every so manieth point is walked in each run of the tests; make test-slow walks all."""


def walked(redis_url: str, database_url: str, part: str) -> list[dict[str, Any]]:
    """Return what was found at each point of this part."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.walking", redis_url, database_url, part],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(found: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {
        f"{each['point']} {each['after']}": each["wrong"] for each in found if each["wrong"]
    }


def test_some_awaits_that_raise_leave_the_other_channels_alone(
    redis_url: str, database_url: str
):
    found = walked(redis_url, database_url, f"0/{_FEW}")

    assert faults(found) == {}
    assert sum(each["reached"] for each in found) > 4


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_await_that_raises_leaves_the_other_channels_alone(
    part: int, redis_url: str, database_url: str
):
    found = walked(redis_url, database_url, f"{part}/4")

    assert faults(found) == {}
    assert sum(each["reached"] for each in found) > len(found) / 2
