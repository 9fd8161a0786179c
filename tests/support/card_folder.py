"""Folders with few cards that tests change, since checks take seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

from notifier.config import assets

_NEEDED = ("generic.", "digest.", "escalation.", "acknowledged.")


def one_card(folder: Path, *, complete: bool = False) -> Path:
    """Make a folder with the shipped claim_approved, its sample and fields.

    With `complete` it also has the cards that a daemon needs besides those of its routes.
    """
    kept = ("claim_approved.", "nphies.claim.approved", "samples", "fields.toml", "checked.txt")
    kept += _NEEDED if complete else ()
    shutil.copytree(
        assets.cards_dir(),
        folder,
        ignore=lambda _, names: [name for name in names if not name.startswith(kept)],
    )
    return folder
