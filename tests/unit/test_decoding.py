"""Large notifications are decoded without holding the loop."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from notifier.broker.entries import Entry
from notifier.events.notification import encode
from notifier.pipeline.stage import decoded
from tests.support.stages import ONE


async def test_others_have_their_turn_between_large_notifications() -> None:
    text = encode(replace(ONE, data={"text": "x" * 50_000}))
    entries = [Entry("lane", f"{number}-1", {b"notification": text}) for number in range(9)]
    unreadable: list[Entry] = []
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    found = await decoded([*entries, Entry("lane", "9-1", {})], unreadable.append)
    beside.cancel()

    assert [entry.id for entry, _ in found] == [entry.id for entry in entries]
    assert [entry.id for entry in unreadable] == ["9-1"]
    assert turns >= 9
