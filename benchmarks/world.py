"""Servers that all contenders share: Redis, Postgres and the receiver."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import redis

from benchmarks.contenders.string_card import TABLE
from notifier.sandbox.servers import Server, start_postgres, start_redis
from notifier.store.migrations import migrate_up

_TABLES = "teams_notifications, teams_notification_attempts, teams_escalations, teams_actions, bench_rows"


class TooSlowError(Exception):
    """An awaited event did not happen in time."""


@dataclass
class Receiver:
    """The receiver's process, as the benchmark talks to it."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Return its base URL; the channel follows."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> object:
        """Ask for one of its control paths."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer: object = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def count(self) -> int:
        """Return how many posts came since the reset."""
        return int(str(self.ask("/count")))

    def arrivals(self) -> list[tuple[int, int]]:
        """Return number and nanoseconds of each post."""
        posts = self.ask("/arrivals")
        assert isinstance(posts, list)
        return [(number, at) for number, at in posts]


@dataclass
class World:
    """The servers, and what is in them."""

    redis: Server
    postgres: Server
    receiver: Receiver
    folder: Path
    client: redis.Redis
    database: psycopg.Connection

    def reset(self) -> None:
        """Forget everything."""
        self.client.flushall()
        self.database.execute(f"TRUNCATE {_TABLES}".encode())
        self.receiver.ask("/reset")

    def rows(self, table: str) -> int:
        """Return how many notifications are recorded."""
        row = self.database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        return int(row[0]) if row else 0

    def log(self, name: str) -> Path:
        """Return where a contender's output goes."""
        return self.folder / f"{name}.log"


@contextmanager
def open_world() -> Iterator[World]:
    """Start the servers; they end with the block."""
    with tempfile.TemporaryDirectory(
        prefix="notifier-bench-", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another account when this one is root
        with (
            start_redis(folder / "redis") as redis_server,
            start_postgres(folder / "postgres") as postgres,
            _receiver() as receiver,
            redis.Redis.from_url(redis_server.url, socket_timeout=120) as client,
        ):
            migrate_up(postgres.url)
            with psycopg.connect(postgres.url, autocommit=True) as database:
                database.execute(TABLE.encode())
                yield World(redis_server, postgres, receiver, folder, client, database)


@contextmanager
def _receiver() -> Iterator[Receiver]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receiver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    try:
        yield Receiver(int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.communicate()


def wait_until(
    true: Callable[[], bool], what: str, *, seconds: float, every: float = 0.02
) -> None:
    """Wait for something; raises TooSlowError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TooSlowError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
