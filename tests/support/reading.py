"""Streams of the consumer's tests, and ways to read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.config import load_config

SOURCE, TARGET = "{s}:in", "{s}:out"
Joined = Callable[[str], Awaitable[Consumer]]


@asynccontextmanager
async def open_consumer(url: str, **environment: str) -> AsyncIterator[Consumer]:
    """Connect a consumer to a server while the body runs."""
    settings = load_config(None, {"REDIS_URL": url} | environment).redis
    client = connect(settings)
    try:
        yield Consumer(client, settings, "one")
    finally:
        await close(client)


async def read(group: Consumer, count: int = 10) -> list[str]:
    return [entry.id for entry in await group.read([SOURCE], count=count, block_seconds=0.01)]


async def read_new(client: Redis, group: Consumer, count: int = 1) -> list[str]:
    """Add entries and let a consumer read them."""
    for _ in range(count):
        await client.xadd(SOURCE, {"a": "1"})
    return await read(group)


async def hand_over(owner: Consumer, other: Consumer, stream: str, entry_id: str) -> Entry:
    """Let another consumer claim an entry, as if its owner were dead.

    To claim with an idle time of 0 would not do: fakeredis leaves out what was read in the same millisecond.
    """
    await owner.give_up(stream, [entry_id])
    [claimed] = await other.claim(stream, idle_seconds=1, count=1)
    assert claimed.id == entry_id
    return claimed
