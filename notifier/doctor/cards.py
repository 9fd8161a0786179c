"""Whether every card can be drawn."""

from __future__ import annotations

import asyncio
from pathlib import Path

from notifier import assets
from notifier.cardcheck import check_folder
from notifier.cards import load_cards
from notifier.config import Config
from notifier.doctor.findings import Finding, fault, fine, told, warning
from notifier.errors import CardError

NAME = "cards"
_FIX = "mend it, then: notifier cards check"


async def look_at_cards(config: Config) -> list[Finding]:
    """Return the findings of `notifier cards check`, in short, and for what else the daemon would not start with."""
    return await asyncio.to_thread(_look, config)


def cards_folder(config: Config) -> Path:
    """Return where these settings have their cards."""
    return Path(config.cards.directory) if config.cards.directory else assets.cards_dir()


def _look(config: Config) -> list[Finding]:
    folder = cards_folder(config)
    if not folder.is_dir():
        what = f"there is no folder {folder}, so the daemon does not start"
        return [fault(NAME, what, "correct cards.directory")]
    findings = check_folder(folder, config, thorough=False)
    found = [
        (warning if each.warning else fault)(NAME, each.line().removeprefix("warning: "), _FIX)
        for each in findings
    ]
    if any(not each.warning for each in findings):
        return found
    try:
        cards = load_cards(folder)
    except CardError as exc:
        return [*found, told(NAME, str(exc), otherwise=_FIX)]
    return [*found, fine(NAME, f"{len(cards.templates)} cards can be drawn")]
