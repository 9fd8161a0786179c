"""The fenced blocks of the documents, and how they are tested.

A comment before a block says why it is not run here:
    <!-- test: skip WHY -->                it cannot be run by a test
    <!-- test: in tests/…/test_x.py -->    that test runs it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- test: (?P<mark>skip|in) (?P<why>.+?) -->\n\s*)?"
    r"^[ ]*```(?P<language>\w*)\n(?P<text>.*?)^[ ]*```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str
    skipped: str | None
    """Why it is not run."""
    elsewhere: str | None
    """The test that runs it."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def marked(self) -> bool:
        return self.skipped is not None or self.elsewhere is not None

    @property
    def make_targets(self) -> list[str] | None:
        """The targets of a block that only calls make, which are looked up."""
        lines = [line.split("#")[0].strip() for line in self.text.splitlines()]
        found = [re.match(r"make ([a-z-]+)", line) for line in lines if line]
        return [match[1] for match in found if match] if found and all(found) else None


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["text"],
            found["why"] if found["mark"] == "skip" else None,
            found["why"] if found["mark"] == "in" else None,
        )
        for found in _BLOCK.finditer(text)
    ]
