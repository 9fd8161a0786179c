"""The contenders: how each is started, fed, and seen to be done."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.request import urlopen

import redis
from typing_extensions import override

from benchmarks.processes import Program
from benchmarks.work import CHANNELS, event, fields
from benchmarks.world import World, wait_until
from notifier.broker.keys import Keys
from notifier.sandbox.servers import free_port

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
_PUBLISHED_AT_ONCE = 500
_KEY = secrets.token_hex(32)


class Contender(ABC):
    """One program that does the work."""

    name: str
    table = "bench_rows"
    how: str
    """How it is run, for the page."""

    @property
    def title(self) -> str:
        """Return its name and version."""
        return f"{self.name} {version(self.name)}"

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return what starts it."""

    def env(self, world: World) -> dict[str, str]:
        """Return its environment."""
        return {
            "PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONUNBUFFERED": "1",
            "BENCH_REDIS_URL": world.redis.url, "BENCH_DATABASE_URL": world.postgres.url, "BENCH_RECEIVER_URL": world.receiver.url,
        }  # fmt: skip

    def prepare(self, world: World) -> None:  # noqa: B027 - most need nothing
        """Make what must be there before the first event."""

    @abstractmethod
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        """Add events for it."""

    @abstractmethod
    def waiting(self, world: World) -> int:
        """Return how many events it has not acknowledged."""

    def start(self, world: World) -> Program:
        """Start one process of it; it is ready when its first card has come."""
        return Program(self.command(), self.env(world), world.log(self.name))

    def started(self, world: World) -> Program:
        """Start it on an empty world; return after a card for every channel."""
        world.reset()
        self.prepare(world)
        program = self.start(world)
        try:
            self.publish(world, range(len(CHANNELS)))
            self.until_done(world, len(CHANNELS), seconds=START_SECONDS)
        except BaseException:
            program.kill()
            raise
        return program

    def until_done(self, world: World, rows: int, *, seconds: float) -> None:
        """Wait until so many notifications are recorded and nothing waits."""
        wait_until(
            lambda: world.receiver.count() >= rows and world.rows(self.table) >= rows and not self.waiting(world),
            f"{self.name}: {rows} rows", seconds=seconds,
        )  # fmt: skip


class Notifier(Contender):
    """The product, as an operator runs it."""

    name = "notifier"
    table = "teams_notifications"
    how = "`notifier run`, every feature on, log level info, rate limit lifted"
    stream = "teams:events"

    def __init__(self) -> None:
        self.admin = free_port()

    @override
    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "notifier", "run"]

    @override
    def env(self, world: World) -> dict[str, str]:
        return super().env(world) | {
            "REDIS_URL": world.redis.url, "DATABASE_URL": world.postgres.url, "TEAMS_ADMIN__BIND": f"127.0.0.1:{self.admin}",
            "TEAMS_PUBLIC__BIND": "127.0.0.1:0", "TEAMS_PUBLIC__URL": "https://notify.example.com", "TEAMS_HMAC_SECRET_KEY": _KEY,
            "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1", "TEAMS_RATE_LIMIT_REQUESTS": "0",
            **{f"TEAMS_WEBHOOK_{name.upper()}": f"{world.receiver.url}/{name}" for name in CHANNELS},
        }  # fmt: skip

    @override
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        self.add(world, (fields(number) for number in numbers))

    def add(self, world: World, entries: Iterable[dict[str, str]]) -> None:
        """Add entries to its stream."""
        _add(world.client, self.stream, entries)

    @override
    def waiting(self, world: World) -> int:
        keys = Keys(self.stream)
        lanes = [keys.lane(name, urgent=urgent) for name in CHANNELS for urgent in (True, False)]  # fmt: skip
        return _unread(world.client, self.stream, "notifier") + sum(
            world.client.xlen(key) for key in [*lanes, keys.outcomes]
        )

    def until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when /readyz says so."""

        def ready() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_until(ready, "notifier is ready", seconds=seconds, every=0.005)


class Floor(Contender):
    """The least code."""

    name = "floor"
    how = "one loop: XREADGROUP COUNT 100, string card, aiohttp with 64 in flight, batched insert, XACK"
    stream, group = "bench:floor", "floor"

    @property
    @override
    def title(self) -> str:
        return "floor"

    @override
    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.contenders.floor"]

    @override
    def prepare(self, world: World) -> None:
        world.client.xgroup_create(self.stream, self.group, "0", mkstream=True)

    @override
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        _add(world.client, self.stream, (fields(number) for number in numbers))

    @override
    def waiting(self, world: World) -> int:
        return _unread(world.client, self.stream, self.group)


class FastStream(Floor):
    """A messaging framework."""

    name = "faststream"
    how = "stream subscriber in a group, max_workers=64, pool of 10 database connections, logging off"
    stream, group = "bench:faststream", "faststream"

    @property
    @override
    def title(self) -> str:
        return f"FastStream {version('faststream')}"

    @override
    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.contenders.faststream_app"]

    @override
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        from faststream.redis.parser import BinaryMessageFormatV1

        async def encoded() -> list[bytes]:
            return [
                await BinaryMessageFormatV1.encode(
                    message=event(number),
                    reply_to=None,
                    headers=None,
                    correlation_id=f"c{number}",
                )
                for number in numbers
            ]

        _add(
            world.client,
            self.stream,
            ({"__data__": message} for message in asyncio.run(encoded())),
        )


class Taskiq(Floor):
    """An asynchronous task queue."""

    name = "taskiq"
    how = "RedisStreamBroker, `taskiq worker --ack-type when_executed`, 2 workers (its default), log level warning"
    stream, group = "bench:taskiq", "taskiq"

    @property
    @override
    def title(self) -> str:
        return f"taskiq {version('taskiq')}"

    @override
    def command(self) -> Sequence[str]:
        return [
            sys.executable, "-m", "taskiq", "worker", "--ack-type", "when_executed", "--log-level", "WARNING",
            "benchmarks.contenders.taskiq_app:broker",
        ]  # fmt: skip

    @override
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        from taskiq.message import TaskiqMessage

        from benchmarks.contenders.taskiq_app import broker

        messages = (
            broker.formatter.dumps(
                TaskiqMessage(
                    task_id=f"t{number}",
                    task_name="notify",
                    labels={},
                    args=[event(number)],
                    kwargs={},
                )
            )
            for number in numbers
        )
        _add(world.client, self.stream, ({"data": message.message} for message in messages))


class CeleryPrefork(Contender):
    """The usual task queue; the design that this product replaces."""

    name = "celery"
    how = (
        "prefork with 2 processes (its default here), acks_late, prefetch 64, log level warning"
    )

    @property
    @override
    def title(self) -> str:
        return f"Celery {version('celery')}"

    @override
    def command(self) -> Sequence[str]:
        return [
            sys.executable, "-m", "celery", "-A", "benchmarks.contenders.celery_app", "worker", "--concurrency", "2", "--loglevel", "WARNING",
        ]  # fmt: skip

    @override
    def publish(self, world: World, numbers: Iterable[int]) -> None:
        from benchmarks.contenders.celery_app import app, notify

        app.conf.broker_url = world.redis.url
        with app.producer_pool.acquire(block=True) as producer:
            for number in numbers:
                notify.apply_async((event(number),), producer=producer)

    @override
    def waiting(self, world: World) -> int:
        return int(world.client.llen("celery")) + int(world.client.hlen("unacked"))


def contenders(names: Sequence[str]) -> list[Contender]:
    """Return the contenders of these names; raises KeyError."""
    known = {kind.name: kind for kind in (Notifier, Floor, FastStream, Taskiq, CeleryPrefork)}
    return [known[name]() for name in names]


def _add(client: redis.Redis, stream: str, entries: Iterable[Mapping[str, object]]) -> None:
    pipeline = client.pipeline(transaction=False)
    for entry in entries:
        pipeline.xadd(stream, entry)
        if len(pipeline) >= _PUBLISHED_AT_ONCE:
            pipeline.execute()
    pipeline.execute()


def _unread(client: redis.Redis, stream: str, group: str) -> int:
    """Return how many entries a group has not acknowledged.

    Redis 6.2 keeps no lag, so its unread entries count as 1.
    """
    for found in client.xinfo_groups(stream):
        if found["name"].decode() == group:
            last = found["last-delivered-id"].decode()
            return int(found["pending"]) + len(client.xrange(stream, f"({last}", "+", count=1))
    return 1
