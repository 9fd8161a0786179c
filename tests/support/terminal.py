"""A terminal for commands that ask at one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest


def terminal() -> tuple[int, int]:
    """Return both ends of a new terminal, or skip the test."""
    try:
        return pty.openpty()
    except OSError as exc:
        pytest.skip(f"this machine gives no terminal: {exc}")


def answered(*arguments: str, answer: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command at a terminal where somebody types this answer."""
    ours, theirs = terminal()
    os.write(ours, f"{answer}\n".encode())
    try:
        return subprocess.run(
            [sys.executable, "-m", "notifier", *arguments],
            stdin=theirs,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]} | env,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
