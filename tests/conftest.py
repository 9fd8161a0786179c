"""Real servers for the tests: they start with the session and need nothing installed by hand."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import psycopg
import pytest
import redis

from notifier.errors import SandboxError
from notifier.sandbox.servers import Server, redis_program, start_postgres, start_redis
from notifier.store.migrations import migrate_up
from tests.receiver import WebhookReceiver

# How long one example takes says how busy the machine is, and whether the code is right is what is asked.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_report_header() -> str:
    """Say which Redis the tests run on: another one is taken from PATH."""
    try:
        program = redis_program("redis-server")
    except SandboxError:
        return "redis-server: none, so only tests without servers can pass"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return f"redis-server: {program}, {said.stdout.strip()}"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A folder that Postgres' account can enter when the tests run as root; pytest's own are closed."""
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
    fast = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=50")
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
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
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
async def webhook_receiver() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    await receiver.start()
    yield receiver
    await receiver.stop()
