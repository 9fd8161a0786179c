"""Check that every card can be rendered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from notifier.cards.check.folder import check_folder
from notifier.cards.library import card_folders, layered, load_cards
from notifier.config import Config
from notifier.errors import CardError
from notifier.telemetry.findings import Finding, Level, count, fault, fault_of, ok, warning

NAME = "cards"
_FIX = "fix it, then: notifier cards check"


async def check_cards(config: Config) -> list[Finding]:
    """Return the findings of `notifier cards check`, in short, and for what else the daemon would not start with."""
    return await asyncio.to_thread(_look, config)


def _look(config: Config) -> list[Finding]:
    folders = card_folders(config)
    folder = folders[-1]
    if not folder.is_dir():
        what = f"there is no folder {folder}, so the daemon does not start"
        return [fault(NAME, what, "correct cards.directory")]
    base = folders[0] if len(folders) > 1 else None
    findings = [
        replace(each, fix=each.fix or _FIX)
        for each in check_folder(folder, config, base=base, thorough=False)
    ]
    if count(findings, Level.FAULT):
        return findings
    try:
        cards = load_cards(*folders)
    except CardError as exc:
        return [*findings, fault_of(NAME, str(exc), otherwise=_FIX)]
    if base is not None and not layered([folder], "*.json"):
        what = f"{folder} holds no cards, so the shipped ones are used"
        findings.append(warning(NAME, what, "correct cards.directory, or: notifier cards new"))
    return [*findings, ok(NAME, f"{len(cards.templates)} cards can be rendered")]
