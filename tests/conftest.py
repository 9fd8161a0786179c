"""Real servers for the tests, started with the session."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import psycopg
import pytest
import redis
from xdist.scheduler import LoadScopeScheduling

from notifier.errors import SandboxError
from notifier.sandbox.servers import Server, redis_server_program, start_postgres, start_redis
from notifier.store.migrations import migrate_up
from tests.support.daemons import Daemons, DaemonsAt
from tests.support.receiver import WebhookReceiver

# How long one example takes says how busy the machine is, and whether the code is right is what is asked.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


GROUPS = {
    "browser": ("tests/browser/",),
    "topologies": (
        "tests/integration/test_failover.py",
        "tests/integration/test_redis_tls.py",
        "tests/integration/test_redis_users.py",
        "tests/integration/test_tools_on_topologies.py",
        "tests/integration/test_trace.py",
    ),
    "install": ("tests/integration/test_install.py",),
    "node": ("tests/integration/test_producers.py",),
}
"""Tests that share something slow to start: Chromium, a cluster and Sentinels, an installation, packages of npm."""


class _Groups(LoadScopeScheduling):
    """Gives each group to one worker and every other test to whoever is free.

    The marks of `--dist loadgroup` have no effect with pytest-xdist 3.8 on pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        groups = (name for name, paths in GROUPS.items() if nodeid.startswith(paths))
        return next(groups, nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Groups:
    return _Groups(config, log)


def pytest_report_header() -> str:
    """Say which Redis the tests run on."""
    try:
        program = redis_server_program()
    except SandboxError as exc:
        return f"only tests without servers can pass: {exc}"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return f"Redis of the tests: {program}, {said.stdout.strip()}"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A folder that Postgres' account can enter if the tests run as root."""
    with TemporaryDirectory(prefix="notifier-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of the test's own that other accounts can enter."""
    with _open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    settings = ("fsync=off", "full_page_writes=off", "autovacuum=off", "wal_level=minimal", "max_wal_senders=0", "max_connections=50")  # fmt: skip
    fast = [word for setting in settings for word in ("-c", setting)]
    with _open_folder() as folder, start_postgres(folder, extra_args=fast) as server:
        migrate_up(server.url)
        yield server


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """An empty Redis database."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


def _database(server: Server, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    admin = server.url.removesuffix("/notifier") + "/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode()
        )
        yield server.url.removesuffix("/notifier") + f"/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database_url(postgres_server: Server) -> Iterator[str]:
    """A database of its own with the schema in it."""
    yield from _database(postgres_server, "notifier")


@pytest.fixture
def empty_database_url(postgres_server: Server) -> Iterator[str]:
    """A database of its own without any schema."""
    yield from _database(postgres_server, "template1")


@pytest.fixture
async def daemons_at(
    database_url: str, webhook_receiver: WebhookReceiver, tmp_path: Path
) -> AsyncIterator[DaemonsAt]:
    made: list[Daemons] = []

    def daemons(redis_url: str, database_url: str = database_url) -> Daemons:
        folder = tmp_path / f"daemons{len(made)}"
        folder.mkdir()
        made.append(Daemons(redis_url, database_url, webhook_receiver, folder))
        return made[-1]

    yield daemons
    for each in made:
        await each.stop()


@pytest.fixture
def daemons(daemons_at: DaemonsAt, redis_url: str) -> Daemons:
    return daemons_at(redis_url)


@pytest.fixture
async def webhook_receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver.listening() as receiver:
        yield receiver
