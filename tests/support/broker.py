"""The product's Redis client, connected to a real server or to fakeredis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import redis.asyncio
from fakeredis import FakeServer
from fakeredis.aioredis import FakeBaseAsyncConnection

from notifier.broker.client import connect
from notifier.broker.consumer import Consumer
from notifier.config import Config

FAKE_URL = "redis://fake.invalid:6379/0"
_NOBODY_LISTENS = 1
"""A port that refuses connections."""


@dataclass
class Broker:
    """A client whose server can be taken away and given back."""

    client: redis.asyncio.Redis
    config: Config
    _fake: FakeServer | None
    _real_port: int = 0

    @classmethod
    def connected(cls, config: Config, *, fake: bool, health_checks: bool = False) -> Self:
        """Connect as the daemon does; with `fake`, to a new fakeredis server.

        Args:
            config: Names the real server.
            fake: Whether to use fakeredis.
            health_checks: Keep the client's health checks on fakeredis too.
        """
        client = connect(config.redis)
        assert isinstance(client, redis.asyncio.Redis)
        server = FakeServer(version=(7,)) if fake else None
        if server is not None:
            _use_fake_connections(client, server)
            if not health_checks:
                client.connection_pool.connection_kwargs["health_check_interval"] = 0
        return cls(client, config, server)

    def group(self, consumer: str) -> Consumer:
        """Return the group as this consumer sees it."""
        return Consumer(self.client, self.config.redis, consumer)

    async def go_away(self) -> None:
        """Refuse every command from now on."""
        if self._fake is not None:
            self._fake.connected = False
            return
        self._real_port = self.client.connection_pool.connection_kwargs["port"]
        await self._connect_to(_NOBODY_LISTENS)

    async def come_back(self) -> None:
        """Answer again."""
        if self._fake is not None:
            self._fake.connected = True
            return
        await self._connect_to(self._real_port)

    async def _connect_to(self, port: int) -> None:
        pool = self.client.connection_pool
        pool.connection_kwargs["port"] = port
        # Each connection keeps the port that it was made with.
        await pool.disconnect()
        pool.reset()


def _use_fake_connections(client: redis.asyncio.Redis, server: FakeServer) -> None:
    """Replace each connection's socket; all else stays the product's."""
    pool = client.connection_pool

    class FakeConnection(FakeBaseAsyncConnection, pool.connection_class):  # type: ignore[misc,name-defined]
        pass

    pool.connection_class = FakeConnection
    pool.connection_kwargs["server"] = server
