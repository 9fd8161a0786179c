"""Read processor time and memory of a program from /proc (proc(5))."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_FIELDS_AFTER_NAME = 2
_STATE, _PARENT, _SESSION, _UTIME, _CSTIME = 2, 3, 5, 13, 16
"""Positions in /proc/PID/stat, counted from 0."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes of a program.

    `pss` counts shared pages once, `highest` adds each process' highest resident size.
    """

    pss_mb: float
    highest_mb: float


class Program:
    """A program in its own session, so that all its processes are found."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Tell whether its first process still runs."""
        return self._process.poll() is None

    def processes(self) -> list[int]:
        """Return the ids of all its processes that have not ended."""
        return [
            pid
            for pid, stat in _stats()
            if int(stat[_SESSION]) == self._process.pid and stat[_STATE] != "Z"
        ]

    def cpu_seconds(self) -> float:
        """Return user and system time of all its processes, with ended ones."""
        ticks = 0
        for _, stat in _stats():
            if int(stat[_SESSION]) == self._process.pid:
                ticks += sum(map(int, stat[_UTIME : _CSTIME + 1]))
        return ticks / _TICKS

    def memory(self) -> Memory:
        """Return what all its processes take."""
        pss = highest = 0
        for pid in self.processes():
            pss += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss")
            highest += _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM")
        return Memory(pss / 1024, highest / 1024)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process."""
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self) -> None:
        """End every process as a power cut would, and wait."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        while self.processes():
            self.signal(signal.SIGKILL)


def cpu_seconds_below(ancestor: int, name: str) -> float:
    """Return user and system time of all processes of a name below another.

    It includes the children that they have waited for.
    """
    stats = dict(_stats())
    ticks = 0
    for pid, stat in stats.items():
        parent = pid
        while parent in stats and parent != ancestor:
            parent = int(stats[parent][_PARENT])
        if parent == ancestor and _name(pid) == name:
            ticks += sum(map(int, stat[_UTIME : _CSTIME + 1]))
    return ticks / _TICKS


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _stats() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # The name is in parentheses and may hold anything.
            name_end = text.rindex(")")
            yield int(folder.name), ["", "", *text[name_end + _FIELDS_AFTER_NAME :].split()]


def _kilobytes(path: Path, name: str) -> int:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0
