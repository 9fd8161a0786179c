"""The journal of a run: a run that was killed continues from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


class Journal:
    """Lines of JSON, each one write(2), so that the kernel keeps them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._repair()
        self._file: BinaryIO = path.open("ab", buffering=0)

    def write(self, **fields: Any) -> float:
        """Add one line and return its time, the field `at` unless given."""
        at = float(fields.setdefault("at", time.time()))
        self._file.write(json.dumps(fields).encode() + b"\n")
        return at

    def lines(self) -> Iterator[dict[str, Any]]:
        """Read it from the start."""
        with self._path.open("rb") as file:
            for line in file:
                yield json.loads(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _repair(self) -> None:
        """Cut off a line that was not written to its end."""
        if self._path.exists():
            text = self._path.read_bytes()
            if not text.endswith(b"\n"):
                self._path.write_bytes(text[: text.rfind(b"\n") + 1])
