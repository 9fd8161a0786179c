"""Entries of lanes become notifications, without holding the loop for as long as many large ones take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from notifier.broker.entries import Entry
from notifier.events.notification import Notification, decode

_LARGE_BYTES = 32 * 2**10


async def decoded(
    entries: Sequence[Entry], unreadable: Callable[[Entry], None]
) -> list[tuple[Entry, Notification]]:
    """Return entries with what they hold; those that hold no notification are handed to `unreadable`."""
    found: list[tuple[Entry, Notification]] = []
    for entry in entries:
        text = (entry.fields or {}).get(b"notification", b"")
        if len(text) > _LARGE_BYTES:
            await asyncio.sleep(0)
        try:
            found.append((entry, decode(text)))
        except (ValueError, KeyError, TypeError):
            unreadable(entry)
    return found
