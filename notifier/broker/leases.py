"""Renew entries in flight so that no other process claims them."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.errors import StreamError

_RENEWED_AT_ONCE = 500


class Leases:
    """The entries that this process holds, by stream."""

    def __init__(self, consumer: Consumer, *, lease_seconds: float) -> None:
        self._consumer = consumer
        self._interval = lease_seconds / 3
        self._held: defaultdict[str, dict[str, float]] = defaultdict(dict)
        """Per entry the monotonic time at which it was surely ours."""

    def hold(self, stream: str, entry_id: str, *, since: float | None = None) -> bool:
        """Note an entry as in flight; False if it was (claimed from ourselves).

        Args:
            stream: Where it was read.
            entry_id: Its id there.
            since: time.monotonic() before it was read; None = now.
        """
        held = self._held[stream]
        if entry_id in held:
            return False
        held[entry_id] = time.monotonic() if since is None else since
        return True

    def drop(self, stream: str, entry_id: str) -> None:
        """Note that an entry is no longer in flight."""
        self._held[stream].pop(entry_id, None)

    def surely_ours(self, stream: str, entry_id: str) -> bool:
        """Tell whether no other process can have claimed an entry.

        False means: ask Redis.
        """
        sure = self._held[stream].get(entry_id)
        return sure is not None and time.monotonic() - sure < 2 * self._interval

    async def still_ours(self, stream: str, entry_id: str) -> bool:
        """Ask Redis whether an entry is still ours.

        Another process claims it if this one, or Redis, was suspended.

        Raises:
            StreamError: Redis is away, so it is not known.
        """
        return await self._renewed(stream, [entry_id])

    async def run(self) -> None:
        """Renew all leases three times per lease, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for stream, held in list(self._held.items()):
                ids = list(held)
                for start in range(0, len(ids), _RENEWED_AT_ONCE):
                    try:
                        await self._renewed(stream, ids[start : start + _RENEWED_AT_ONCE])
                    except StreamError:
                        # The stages notice and report that Redis is away; leases are tried again next time.
                        break

    async def _renewed(self, stream: str, entry_ids: Sequence[str]) -> bool:
        """Renew leases; True when all of them were still ours."""
        before = time.monotonic()
        if await self._consumer.renew(stream, entry_ids) < len(entry_ids):
            return False
        held = self._held[stream]
        for entry_id in entry_ids:
            if entry_id in held:
                held[entry_id] = before
        return True

    async def give_up(self, entries: Sequence[Entry]) -> None:
        """Let others claim these entries at once.

        If Redis is away, they can when the leases run out.
        """
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for entry in entries:
            ids[entry.stream].append(entry.id)
            # Before Redis is asked: no process would ever deliver an entry that is renewed here.
            self.drop(entry.stream, entry.id)
        with suppress(StreamError):
            for stream, of_stream in ids.items():
                await self._consumer.give_up(stream, of_stream)

    async def give_up_all(self) -> None:
        """Let other processes claim at once the entries that are still in flight."""
        for stream, held in self._held.items():
            if held:
                await self._consumer.give_up(stream, list(held))
        self._held.clear()
