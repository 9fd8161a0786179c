"""The atomic hop: what moves where, packed for hop.lua."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from notifier.streams import keys

_PENDING_KEPT = 500
"""Pending entries that a floor names; with more in hand it stays below the rest."""
_MOST_AHEAD = 100_000
"""Ids that may have gone ahead of the group at a time: some 10 MB of Redis."""


class HopResult(IntEnum):
    """What became of one entry."""

    LOST = 0
    """It was no longer pending: another process has moved it. If it was to go ahead: the group has read it, or it is ahead."""
    MOVED = 1
    DUPLICATE = 2
    """Its event id was seen before; it is acknowledged and goes nowhere. If it was to go ahead: it is left to the group."""
    WAS_AHEAD = 3
    """It was moved before the group came to it; now it is acknowledged."""


class Move(NamedTuple):
    """One entry's hop: acknowledge it at `source` and add `targets`, all or nothing."""

    source: str
    entry_id: str
    targets: tuple[tuple[str, Mapping[str, str | bytes]], ...] = ()
    delete: bool = True
    mark: str | None = None
    mark_seconds: int = 0
    ahead: bool = False
    """Do not acknowledge it, for the group has not read it; the group drops it when it comes to it."""


def pack(group: str, moves: Sequence[Move]) -> tuple[list[str], list[str | bytes | int]]:
    """Return KEYS and ARGV of hop.lua; every key the script touches is in KEYS (Redis Cluster)."""
    index: dict[str, int] = {}
    argv: list[str | bytes | int] = [group, _PENDING_KEPT, _MOST_AHEAD, len(moves)]
    kept: dict[str, tuple[int, int]] = {}
    for move in moves:
        mark = index.setdefault(move.mark, len(index) + 1) if move.mark else 0
        source = index.setdefault(move.source, len(index) + 1)
        floor = ahead = 0
        if not move.delete:
            # What is deleted cannot be read again, so only a stream that keeps its entries needs these.
            if move.source not in kept:
                floor = index.setdefault(keys.floor(move.source, group), len(index) + 1)
                ahead = index.setdefault(keys.ahead(move.source, group), len(index) + 1)
                kept[move.source] = floor, ahead
            floor, ahead = kept[move.source]
        how = "ahead" if move.ahead else "delete" if move.delete else "keep"
        argv += (
            source, move.entry_id, how, mark, move.mark_seconds, floor, ahead, len(move.targets),
        )  # fmt: skip
        for key, fields in move.targets:
            argv += (index.setdefault(key, len(index) + 1), 2 * len(fields))
            for name, value in fields.items():
                argv += (name, value)
    return list(index), argv
