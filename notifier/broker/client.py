"""Connect to one Redis server, the master of Sentinels, or a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import hiredis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    RedisClusterException,
    RedisError,
)
from redis.typing import EncodableT
from typing_extensions import override

from notifier.broker.cluster import ClusterClient
from notifier.broker.errors import error_code, stream_error
from notifier.broker.pool import BoundedParser, SentinelPool, Sharing
from notifier.config.redis_url import RedisKind, parse_redis_url
from notifier.errors import ConfigError
from notifier.telemetry.health import announce_wait

Client = redis.asyncio.Redis | RedisCluster

_LONGEST_SECONDS = 600.0
"""No command takes longer under any settings: the driver tries eleven times, each for the time of a blocking read and that of connecting."""
_DEMOTED = ("READONLY", "MASTERDOWN")
_MAX_CONNECTIONS = 1000
"""Every blocking read holds one; the driver's 100 are too few for several streams."""


class RedisOptions(Protocol):
    """How to reach Redis, and as which consumer group."""

    @property
    def url(self) -> str:
        """Of a kind that parse_redis_url reads."""

    @property
    def group(self) -> str:
        """The consumer group."""

    @property
    def lease_seconds(self) -> float:
        """How long an entry is in flight unless it is renewed."""

    @property
    def block_seconds(self) -> float:
        """How long a read waits at most."""

    @property
    def connect_timeout_seconds(self) -> float:
        """How long connecting takes at most."""

    @property
    def tls_ca_file(self) -> str:
        """CA that signed the server's certificate; empty: the system's."""

    @property
    def tls_cert_file(self) -> str:
        """Client certificate; empty: none."""

    @property
    def tls_key_file(self) -> str:
        """Its key."""


class _OneSentinel(redis.asyncio.Redis):
    """One Sentinel that keeps its last error.

    The driver keeps only the error's class.
    """

    fault: RedisError | None = None

    @override
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            reply = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except RedisError as exc:
            self.fault = exc
            raise
        self.fault = None
        return reply


class _Sentinels(Sentinel):
    """All Sentinels; if none names a master, the first error is the cause."""

    def __init__(self, nodes: Sequence[tuple[str, int]], options: dict[str, Any]) -> None:
        super().__init__([], sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self.sentinels = [_OneSentinel(host=host, port=port, **options) for host, port in nodes]

    @override
    async def discover_master(self, service_name: str) -> Any:
        try:
            return await super().discover_master(service_name)
        except MasterNotFoundError as exc:
            faults = (each.fault for each in self.sentinels if isinstance(each, _OneSentinel))
            raise exc from next((fault for fault in faults if fault is not None), None)


class _SentinelMaster(redis.asyncio.Redis):
    """The master of the moment; closes the connections to the Sentinels too."""

    @override
    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        pool = self.connection_pool
        await super().aclose(close_connection_pool)
        if isinstance(pool, SentinelConnectionPool):
            await pool.sentinel_manager.aclose()


def connect(options: RedisOptions) -> Client:
    """Make a client; nothing is sent until the first command.

    Raises:
        ConfigError: A file of the TLS settings is not there.
    """
    address = parse_redis_url(options.url)
    driver: dict[str, Any] = {
        "protocol": 2,
        "max_connections": _MAX_CONNECTIONS,
        "socket_timeout": options.block_seconds + 5,  # must outlast a blocking read
        "socket_connect_timeout": options.connect_timeout_seconds,
        "health_check_interval": 30,
    }
    bounded: dict[str, Any] = {"parser_class": BoundedParser}
    tls = _tls(options)
    if address.kind is RedisKind.SINGLE:
        pool = Sharing.from_url(options.url, **driver, **bounded, **tls)
        return _packing_in_c(redis.asyncio.Redis.from_pool(pool))
    if address.tls:
        tls["ssl"] = True
    login: dict[str, Any] = {"username": address.username, "password": address.password}
    if address.kind is RedisKind.CLUSTER:
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        # A slot that moved is learnt from its redirection; the driver's way, to start all over, would close connections in use.
        cluster = ClusterClient(
            startup_nodes=nodes, reinitialize_steps=0, **login, **driver, **tls
        )
        cluster.connect_with(**bounded)
        return cluster
    sentinel = _Sentinels(
        address.nodes,
        {
            "username": address.sentinel_username,
            "password": address.sentinel_password,
            "protocol": 2,
            "socket_timeout": options.connect_timeout_seconds,
            "socket_connect_timeout": options.connect_timeout_seconds,
            # One that is away is skipped at once: the next one knows the same.
            "retry": Retry(NoBackoff(), 0),
            **tls,
        },
    )
    client: redis.asyncio.Redis = sentinel.master_for(
        address.service,
        redis_class=_SentinelMaster,
        connection_pool_class=SentinelPool,
        db=address.db,
        **login,
        **driver,
        **bounded,
        **tls,
    )
    return _packing_in_c(client)


def _packing_in_c(client: redis.asyncio.Redis) -> redis.asyncio.Redis:
    """Let hiredis write commands, as the driver's blocking client does.

    A hop has thousands of arguments.
    """
    pool = client.connection_pool

    class Packing(pool.connection_class):  # type: ignore[misc,name-defined]
        def pack_command(self, *args: EncodableT) -> list[bytes]:
            first = args[0]
            words = first.encode().split() if isinstance(first, str) else [first]
            return [hiredis.pack_command((*words, *args[1:]))]

    pool.connection_class = Packing
    return client


def few_connections(client: Client) -> str | None:
    """Return why this process has too few connections; None if it has enough."""
    pool = getattr(client, "connection_pool", None)
    if not isinstance(pool, Sharing) or not pool.tight:
        return None
    return "Redis gives too few connections: its maxclients is reached; raise it, or see who holds connections (CLIENT LIST)"


async def close(client: Client) -> None:
    """Close every connection of a client."""
    if isinstance(client, ClusterClient):
        await client.close_all()
    else:
        await client.aclose()


def _tls(options: RedisOptions) -> dict[str, Any]:
    for name in ("tls_ca_file", "tls_cert_file", "tls_key_file"):
        path = getattr(options, name)
        if path and not Path(path).is_file():
            raise ConfigError(f"redis.{name}: there is no file {path}; correct the path")
    tls: dict[str, Any] = {}
    if options.tls_ca_file:
        tls["ssl_ca_certs"] = options.tls_ca_file
    if options.tls_cert_file:
        tls["ssl_certfile"] = options.tls_cert_file
        tls["ssl_keyfile"] = options.tls_key_file
    return tls


@asynccontextmanager
async def redis_errors(client: Client, url: str) -> AsyncIterator[None]:
    """Turn the driver's errors into StreamError.

    The message names the masked URL and no argument of a command.
    """
    announce_wait(_LONGEST_SECONDS)
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as exc:
        pool = getattr(client, "connection_pool", None)
        if error_code(exc) in _DEMOTED and isinstance(pool, Sharing):
            # Its connections stay healthy, so nothing else would ever make the driver ask for the new master.
            with suppress(RedisError, OSError):  # one that hangs is closed all the same
                await pool.leave()
        raise stream_error(url, exc) from exc
    finally:
        announce_wait(0)
