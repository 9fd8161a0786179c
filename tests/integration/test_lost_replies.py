"""Entries whose reply was lost are read again at once, not after a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.config import load_config
from notifier.errors import StreamError
from tests.support.proxy import Proxy
from tests.support.reading import SOURCE
from tests.support.waiting import until


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(redis_url)
    proxy = Proxy(address.hostname or "", address.port or 0)
    async with proxy.serving():
        yield proxy


async def test_reply_of_a_read_that_is_lost_on_its_way(redis_url: str, proxy: Proxy):
    settings = load_config(None, {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}).redis
    client, direct = connect(settings), redis.asyncio.Redis.from_url(redis_url)
    group = Consumer(client, settings, "one")
    try:
        await group.ensure([SOURCE])
        await group.read([SOURCE], count=10, block_seconds=1)
        reading = asyncio.create_task(group.read([SOURCE], count=10, block_seconds=2))
        await until(lambda: waiting(redis_url) == 1)
        proxy.open.clear()
        added = [(await direct.xadd(SOURCE, {"a": "1"})).decode()]
        await until(lambda: pending(redis_url) == 1)
        proxy.cut()
        proxy.open.set()
        added += [(await direct.xadd(SOURCE, {"a": "2"})).decode()]

        entries: list[Entry] = []
        async with asyncio.timeout(60):
            while len(entries) < len(added):
                with suppress(StreamError):
                    entries += await reading
                reading = asyncio.create_task(group.read([SOURCE], count=10, block_seconds=1))
        await reading

        assert [entry.id for entry in entries] == added
        assert {entry.deliveries for entry in entries} == {1}
    finally:
        await direct.flushall()
        await direct.aclose()
        await close(client)


def pending(redis_url: str) -> int:
    with redis.Redis.from_url(redis_url) as client:
        return int(client.xpending(SOURCE, "notifier")["pending"])


def waiting(redis_url: str) -> int:
    """Count the reads that wait for an entry."""
    with redis.Redis.from_url(redis_url) as client:
        return int(client.info("clients")["blocked_clients"])
