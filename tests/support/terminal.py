"""A terminal for commands that ask at one."""

from __future__ import annotations

import pty

import pytest


def terminal() -> tuple[int, int]:
    """Return our end and theirs of a new terminal; skips the test where the machine gives none."""
    try:
        return pty.openpty()
    except OSError as exc:
        pytest.skip(f"this machine gives no terminal: {exc}")
