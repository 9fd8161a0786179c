"""Moves of entries between streams, packed for hop.lua and move.lua."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from notifier.broker import keys

_PENDING_KEPT = 500
"""Pending entries that a floor names; with more in flight it stays below the rest."""

Target = tuple[str, Mapping[str, str | bytes]]
"""A stream and the fields to add to it."""


class HopResult(IntEnum):
    """The result of a hop for one entry in flight."""

    LOST = 0
    """It was no longer pending: another process has moved it."""
    MOVED = 1
    DUPLICATE = 2
    """Its event id was seen before; it is acknowledged and goes nowhere."""
    REFUSED = 3
    """Redis refuses it, for a key that it goes to or comes from: it is where it was, and can be tried again."""


class MoveResult(IntEnum):
    """The result of a hop for one waiting entry."""

    GONE = 0
    MOVED = 1
    IN_FLIGHT = 2
    """A process works on it; it is where it was."""


class Move(NamedTuple):
    """Take one entry out of `source` and add `targets`, all or nothing."""

    source: str
    entry_id: str
    targets: tuple[Target, ...] = ()
    delete: bool = True
    mark: str | None = None
    mark_seconds: int = 0


def pack(group: str, moves: Sequence[Move]) -> tuple[list[str], list[str | bytes | int]]:
    """Return KEYS and ARGV of hop.lua.

    Every key that the script touches is in KEYS, as a cluster requires.
    """
    index: dict[str, int] = {}
    argv: list[str | bytes | int] = [group, _PENDING_KEPT, len(moves)]
    floors: dict[str, int] = {}
    for move in moves:
        mark = index.setdefault(move.mark, len(index) + 1) if move.mark else 0
        source = index.setdefault(move.source, len(index) + 1)
        floor = 0
        if not move.delete:
            # A deleted entry cannot be read again, so only a stream that keeps its entries needs one.
            if move.source not in floors:
                floors[move.source] = index.setdefault(
                    keys.floor(move.source, group), len(index) + 1
                )
            floor = floors[move.source]
        argv += source, move.entry_id, int(move.delete), mark, move.mark_seconds, floor
        _pack_targets(move.targets, index, argv)
    return list(index), argv


def pack_waiting(
    group: str, source: str, moves: Sequence[Move], *, in_flight_ms: int
) -> tuple[list[str], list[str | bytes | int]]:
    """Return KEYS and ARGV of move.lua for moves out of one stream."""
    index = {source: 1}
    argv: list[str | bytes | int] = [group, in_flight_ms, len(moves)]
    for move in moves:
        argv.append(move.entry_id)
        _pack_targets(move.targets, index, argv)
    return list(index), argv


def _pack_targets(
    targets: Sequence[Target], index: dict[str, int], argv: list[str | bytes | int]
) -> None:
    argv.append(len(targets))
    for key, fields in targets:
        argv += (index.setdefault(key, len(index) + 1), 2 * len(fields))
        for name, value in fields.items():
            argv += (name, value)
