"""Entries of a stream, and their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LARGEST_BYTES = 8 * 2**20
"""Of an entry that is sent whole. No entry of notifier's own is as large; one that a producer adds may be."""
ALONE = 3
"""Deliveries from which an entry goes alone: processes died twice while it was in flight, among others."""
LAST_ID = (2**64 - 1, 2**64 - 1)

Fields = Mapping[bytes, bytes]
Page = list[tuple[str, dict[bytes, bytes]]]
"""Ids and fields."""


class Entry(NamedTuple):
    """One stream entry in flight; `fields` is None if it was trimmed."""

    stream: str
    id: str
    fields: Fields | None
    deliveries: int = 1
    withheld_bytes: int = 0
    """Its size if it is too large for this process; its `fields` are then short ones only."""

    def goes_alone(self, max_deliveries: int) -> bool:
        """Tell whether processes may die of it, so that it must be tried alone."""
        return self.deliveries >= ALONE and not self.is_poison(max_deliveries)

    def is_poison(self, max_deliveries: int) -> bool:
        """Tell whether processes died of it too often, in the end of it alone."""
        return self.deliveries > max(max_deliveries, ALONE)


@dataclass(frozen=True, slots=True)
class Floor:
    """A group's progress in a stream that keeps its entries."""

    last: tuple[int, int]
    pending: frozenset[tuple[int, int]]

    @classmethod
    def parse(cls, text: bytes | None) -> Floor:
        """Read a floor as hop.lua writes it: "last pending-id …"."""
        last, *pending = [id_number(word) for word in (text or b"0-0").split()]
        return cls(last, frozenset(pending))

    def passed(self, entry_id: str) -> bool:
        """Tell whether the group has surely acknowledged an entry."""
        number = id_number(entry_id)
        return number <= self.last and number not in self.pending


def id_number(entry_id: bytes | str) -> tuple[int, int]:
    """Return an id as Redis orders it: milliseconds since 1970, a number."""
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    ms, _, number = text.partition("-")
    return int(ms), int(number or 0)


def fields_of(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return an entry's fields from a script's flat list of names and values."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
