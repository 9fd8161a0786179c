"""Run every test of this folder on fakeredis and on the real server.

On fakeredis it takes milliseconds; on the real server the fake cannot lie.

Only the connection is fake. A test that needs more than fakeredis can do has the mark `fake_cannot` with a key of FAKE_CANNOT.
It still runs on fakeredis and must fail there in the known way: once fakeredis can do it, the mark has to go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.config import Config, load_config
from notifier.errors import StreamError
from tests.support.backlog import BATCH
from tests.support.broker import FAKE_URL, Broker
from tests.support.reading import SOURCE, Joined
from tests.support.stages import Stages


@dataclass(frozen=True)
class Lack:
    """A lack of fakeredis, and how a test that needs it fails."""

    instead: str
    raises: type[BaseException] | tuple[type[BaseException], ...]


FAKE_CANNOT = {
    "fill up": Lack(
        "CONFIG SET maxmemory is accepted, but no command is ever refused",
        pytest.fail.Exception,
    ),
    "need replicas": Lack(
        "CONFIG SET min-replicas-to-write is accepted, but no command is ever refused",
        pytest.fail.Exception,
    ),
    "read from a stream that is gone": Lack(
        "XREADGROUP names XGROUP and MKSTREAM in its error, not NOGROUP", StreamError
    ),
    "bound a reply": Lack("a reply comes whole, whatever its size", AssertionError),
    "dump a stream": Lack("DUMP is an unknown command", redis.exceptions.ResponseError),
    "check a connection": Lack(
        "a read never postpones the next health check, so a new connection takes another reply for PONG",
        redis.exceptions.ConnectionError,
    ),
}
"""Measured with fakeredis 2.41.0, as Redis 7.

Two more cannot be tested, because they depend on the time or on other servers: XPENDING with IDLE 0 leaves out what was read in the
same millisecond (see `hand_over`), and the commands CLUSTER, ROLE and WAIT are unknown.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    ours = [item for item in items if item.path.parent == folder]
    needed = set()
    for item in ours:
        mark = item.get_closest_marker("fake_cannot")
        if mark is None:
            continue
        needed.add(mark.args[0])
        lack = FAKE_CANNOT[mark.args[0]]
        if isinstance(item, pytest.Function) and item.callspec.params["kind"] == "fake":
            item.add_marker(
                pytest.mark.xfail(reason=lack.instead, raises=lack.raises, strict=True)
            )
    whole = {item.path for item in ours} == set(folder.glob("test_*.py"))
    if whole and (unused := FAKE_CANNOT.keys() - needed):
        raise pytest.UsageError(f"FAKE_CANNOT: no test needs {', '.join(sorted(unused))}")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.server)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(kind: str, request: pytest.FixtureRequest) -> Config:
    # The real server is started for the first test that asks for it.
    return _config(FAKE_URL if kind == "fake" else request.getfixturevalue("redis_url"))


@cache
def _config(url: str) -> Config:
    env = {
        "REDIS_URL": url,
        "TEAMS_INTAKE__BATCH": str(BATCH),
        "TEAMS_INTAKE__MAX_EVENT_BYTES": "20000",
        "TEAMS_REDIS__BLOCK_SECONDS": "0.01",
    }
    return load_config(None, env)


@pytest.fixture
async def broker(kind: str, config: Config) -> AsyncIterator[Broker]:
    connected = Broker.connected(config, fake=kind == "fake")
    yield connected
    await connected.client.aclose()


@pytest.fixture
def client(broker: Broker) -> Redis:
    return broker.client


@pytest.fixture
def group(broker: Broker) -> Consumer:
    return broker.group("one")


@pytest.fixture
async def one(group: Consumer) -> Consumer:
    await group.ensure([SOURCE])
    return group


@pytest.fixture
def other(broker: Broker, one: Consumer) -> Consumer:
    return broker.group("other")


@pytest.fixture
async def join(broker: Broker) -> Joined:
    """Return one more consumer of the group; the first one makes the group."""
    made = False

    async def joined(name: str) -> Consumer:
        nonlocal made
        group = broker.group(name)
        if not made:
            made = True
            await group.ensure([SOURCE])
        return group

    return joined


@pytest.fixture
def stages(broker: Broker) -> Stages:
    return Stages(broker)
