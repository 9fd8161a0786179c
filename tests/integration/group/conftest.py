from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from notifier.config import load_config
from notifier.streams.connection import connect
from notifier.streams.group import ConsumerGroup
from tests.integration.group.reading import SOURCE, Joined


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    settings = load_config(None, {"REDIS_URL": redis_url}).redis
    connection = connect(settings)
    yield connection
    await connection.aclose()


@pytest.fixture
async def join(client: redis.asyncio.Redis, redis_url: str) -> Joined:
    settings = load_config(None, {"REDIS_URL": redis_url}).redis

    async def joined(name: str) -> ConsumerGroup:
        group = ConsumerGroup(client, settings, name)
        await group.ensure([SOURCE])
        return group

    return joined
