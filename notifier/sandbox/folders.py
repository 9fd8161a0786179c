"""Folders that servers keep their data in."""

from __future__ import annotations

import tempfile
from pathlib import Path

from notifier.errors import SandboxError


def data_folder(path: Path) -> Path:
    """Make a folder if it is not there, and return it; raises SandboxError when nothing can be kept in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as exc:
        raise SandboxError(
            f"no data can be kept in {path}: {exc.strerror}; choose another folder with --data-dir"
        ) from None
    return path
