"""Leases: entries in hand are renewed so that no other process takes them over."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from notifier.errors import StreamError
from notifier.streams.group import ConsumerGroup

_RENEWED_AT_ONCE = 500


class Leases:
    """The entries that this process holds, by stream."""

    def __init__(self, group: ConsumerGroup, *, lease_seconds: float) -> None:
        self._group = group
        self._interval = lease_seconds / 3
        self._held: defaultdict[str, set[str]] = defaultdict(set)

    def hold(self, stream: str, entry_id: str) -> bool:
        """Note an entry as in hand; False when it already was (taken over from ourselves)."""
        held = self._held[stream]
        if entry_id in held:
            return False
        held.add(entry_id)
        return True

    def drop(self, stream: str, entry_id: str) -> None:
        """Note that an entry is no longer in hand."""
        self._held[stream].discard(entry_id)

    async def run(self) -> None:
        """Renew all leases three times per lease, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for stream, held in list(self._held.items()):
                ids = list(held)
                for start in range(0, len(ids), _RENEWED_AT_ONCE):
                    try:
                        await self._group.renew(stream, ids[start : start + _RENEWED_AT_ONCE])
                    except StreamError:
                        # The stages notice and report that Redis is away; leases are tried again next time.
                        break

    async def give_up(self, stream: str, entry_id: str) -> None:
        """Let another process take an entry over at once."""
        self.drop(stream, entry_id)
        await self._group.give_up(stream, [entry_id])

    async def give_up_all(self) -> None:
        """Let other processes take over at once whatever is still in hand."""
        for stream, held in self._held.items():
            if held:
                await self._group.give_up(stream, list(held))
        self._held.clear()
