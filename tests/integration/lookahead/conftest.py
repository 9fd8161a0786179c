from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import redis.asyncio

from notifier.config import Config, load_config
from notifier.masking import Masking
from notifier.provenance import Signers
from notifier.routing import Catalogue
from notifier.stages.intake import Intake
from notifier.streams.connection import connect
from notifier.streams.group import ConsumerGroup
from tests.integration.lookahead.backlog import (
    BATCH,
    STREAM,
)


@pytest.fixture
def config(redis_url: str) -> Config:
    env = {
        "REDIS_URL": redis_url,
        "TEAMS_INTAKE__BATCH": str(BATCH),
        "TEAMS_INTAKE__MAX_EVENT_BYTES": "20000",
        "TEAMS_REDIS__BLOCK_SECONDS": "0.05",
    }
    return load_config(None, env)


@pytest.fixture
async def client(config: Config) -> AsyncIterator[redis.asyncio.Redis]:
    connection = connect(config.redis)
    assert isinstance(connection, redis.asyncio.Redis)
    yield connection
    await connection.aclose()


@pytest.fixture
def group(client: redis.asyncio.Redis, config: Config) -> ConsumerGroup:
    return ConsumerGroup(client, config.redis, "one")


@pytest.fixture
def intake_of(config: Config) -> Callable[..., Intake]:
    def make(group: ConsumerGroup, signers: Signers | None = None) -> Intake:
        return Intake(
            group,
            STREAM,
            catalogue=Catalogue(config.routes, config.channels),
            masking=Masking.of(config.masking.fields, config.masking.exempt),
            settings=config.intake,
            redis_settings=config.redis,
            now=lambda: datetime.now(UTC),
            signers=signers or Signers(required=False),
        )

    return make
