"""Offer Microsoft's card renderer, with the look of Teams, to pages."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent

SCRIPTS = ("vendor/markdown-it-15.0.3.min.js", "vendor/adaptivecards-3.0.6.min.js", "host.js")
"""Files of the folder, in the order in which a page needs them; then `drawCard(json, dark)` returns an element."""


def script_texts() -> list[str]:
    """Return the text of each script."""
    return [(FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS]
