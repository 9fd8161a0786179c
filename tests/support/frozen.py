"""A Postgres that hangs with its connections open, as on a dead disk."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notifier.sandbox.servers import Server


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    pids = [server.pid, *_children(server.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    stats = [*Path("/proc").glob("[0-9]*/stat")]
    if stats:  # a bare Debian has no ps
        return [int(path.parent.name) for path in stats if _parent(path) == parent]
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, of in pairs if int(of) == parent]


def _parent(stat: Path) -> int:
    """Return the parent of a process (proc_pid_stat(5)), 0 if it has ended."""
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
