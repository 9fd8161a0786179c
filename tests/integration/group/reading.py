"""What the group's tests read from and move to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from notifier.streams.group import ConsumerGroup

SOURCE, TARGET = "{s}:in", "{s}:out"
Joined = Callable[[str], Awaitable[ConsumerGroup]]


async def read(group: ConsumerGroup, count: int = 10) -> list[str]:
    return [entry.id for entry in await group.read([SOURCE], count=count, block_seconds=0.01)]
