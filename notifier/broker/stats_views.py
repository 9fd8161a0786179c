"""What is seen of a stream: what waits in it, what a group has acknowledged."""

from __future__ import annotations

from dataclasses import dataclass


def number_of(entry_id: bytes | str) -> tuple[int, int]:
    """Return an entry's id as it is ordered by."""
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    ms, _, seq = text.partition("-")
    return int(ms), int(seq or 0)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a stream."""

    entries: int
    """On servers before Redis 7.0 an event stream is counted up to 1,000 entries."""
    oldest_seconds: float
    """Age of the oldest; 0 when none waits."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a bounded look through dead letters found."""

    complete: bool
    """Whether it came to the end."""
    last: str
    """The last entry that was looked at; empty when there was none."""
    found: tuple[tuple[str, dict[str, str]], ...]
    """Ids and fields, without the events."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Up to where a group has acknowledged a stream that keeps its entries, and what it had in hand."""

    last: tuple[int, int]
    pending: frozenset[tuple[int, int]]

    def passed(self, entry_id: str) -> bool:
        """Tell whether the group has surely acknowledged an entry."""
        number = number_of(entry_id)
        return number <= self.last and number not in self.pending
