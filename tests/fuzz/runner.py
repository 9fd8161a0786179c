"""Feed a target many inputs and keep what it could not take."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType

from tests.fuzz.targets import Target

HANG_SECONDS = 5.0
"""Processor time, so that a busy machine does not count as a hang."""
MOST_FINDINGS = 20


class HangError(BaseException):
    """One input took too long; no `except Exception` may swallow it."""


@dataclass
class Report:
    """What came of one target."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    """Number of the input, and the traceback."""


def run(target: Target, *, seed: str, first: int, count: int) -> Report:
    """Feed inputs number `first` and on.

    The same seed and number give the same input.
    """
    report = Report(target.name)
    began = time.process_time()
    with _alarm():
        for number in range(first, first + count):
            made = target.make(Random(f"{seed}:{target.name}:{number}"))
            start = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
            try:
                target.feed(made)
            except (Exception, HangError):
                signal.setitimer(signal.ITIMER_PROF, 0)
                report.findings.append((number, traceback.format_exc(limit=-6)))
            signal.setitimer(signal.ITIMER_PROF, 0)
            took = time.process_time() - start
            if took > report.slowest_seconds:
                report.slowest_seconds, report.slowest = took, number
            report.inputs += 1
            if len(report.findings) >= MOST_FINDINGS:
                break
    report.seconds = time.process_time() - began
    return report


@contextmanager
def _alarm() -> Iterator[None]:
    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, too_long)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
