"""Several real Redis servers: master, replica and Sentinels; a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from notifier.sandbox import end_with_parent
from notifier.sandbox.servers import Server, redis_server_program, start_redis
from tests.support.ports import quiet_port

SERVICE = "claims"
_DOWN_AFTER_MS = 5_000
"""Sentinels that believed a busy machine's master to be dead would promote of their own accord, and back again."""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the servers do not get there"
        time.sleep(0.05)


def info(server: Server, section: str) -> dict[str, Any]:
    with redis.Redis.from_url(server.url) as client:
        return dict(client.info(section))


@dataclass
class Replicated:
    """A master with one replica, and three Sentinels that watch it."""

    master: Server
    replica: Server
    sentinels: list[int]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def promoted(self) -> bool:
        """Tell whether the replica is the only master."""
        try:
            if info(self.replica, "replication")["role"] != "master":
                return False
            return (
                self.master.process.poll() is not None
                or info(self.master, "replication")["role"] == "slave"
            )
        except redis.ConnectionError:
            # Sentinel closes every client's connection, also this one, when it makes a master a replica.
            return False

    def empty(self) -> None:
        """Remove all data and users."""
        _empty(self.master)
        for port in (*self.sentinels, self.replica.port):
            _forget_users(port)

    def fail_over(self) -> bool:
        """Ask for a promotion; False if the Sentinel has not found the replica."""
        with redis.Redis(port=self.sentinels[0], protocol=2) as client:
            try:
                client.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except redis.ResponseError as exc:
                if "NOGOODSLAVE" not in str(exc):
                    raise
                return False
        return True


def _start(stack: ExitStack, folder: Path, *settings: str, port: int = 0) -> Server:
    # By default a master waits for more replicas, and at a clean stop for late ones: seconds each.
    at_once = ("--repl-diskless-sync-delay", "0", *settings)
    server = start_redis(folder, port=port, extra_args=at_once)
    stack.callback(server.kill)
    return server


@contextmanager
def replicated(folder: Path) -> Iterator[Replicated]:
    with ExitStack() as stack:
        master = _start(stack, folder / "master")
        replica = _start(
            stack, folder / "replica", "--replicaof", "127.0.0.1", str(master.port)
        )
        wait_until(lambda: info(replica, "replication").get("master_link_status") == "up")
        ports = [
            stack.enter_context(_sentinel(folder / f"sentinel{number}", master.port))
            for number in range(3)
        ]
        for port in ports:
            with redis.Redis(port=port, protocol=2) as client:
                wait_until(lambda client=client: _knows_all(client))  # type: ignore[misc]
        yield Replicated(master, replica, ports)


def _knows_all(client: redis.Redis) -> bool:
    try:
        state: Any = client.sentinel_master(SERVICE)
    except redis.RedisError:
        return False
    return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)


@contextmanager
def _sentinel(folder: Path, master_port: int) -> Iterator[int]:
    folder.mkdir()
    port = quiet_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2\n"
        f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {SERVICE} 10000\n"
    )
    command = [
        sys.executable, str(end_with_parent.__file__), str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1",
        redis_server_program(), str(settings), "--sentinel",
    ]  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def _empty(server: Server) -> None:
    _forget_users(server.port)
    with redis.Redis(port=server.port) as client:
        client.flushall()
        client.config_set("maxmemory-policy", "noeviction")


def _forget_users(port: int) -> None:
    with redis.Redis(port=port, protocol=2, decode_responses=True) as client:
        users: Any = client.execute_command("ACL", "USERS")
        for user in set(users) - {"default"}:
            client.execute_command("ACL", "DELUSER", user)


@dataclass
class Cluster:
    """Three masters; the first has a replica."""

    masters: list[Server]
    replica: Server
    spare: Server | None = None
    """A master without slots, which clients do not know of."""

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{s.port}" for s in self.masters)

    def empty(self) -> None:
        """Remove all data and users."""
        for server in self.masters:
            _empty(server)
        _forget_users(self.replica.port)

    def client(self) -> redis.RedisCluster:
        return redis.RedisCluster(
            host="127.0.0.1", port=self.masters[1].port, decode_responses=True
        )


@contextmanager
def cluster(folder: Path, *, spare: bool = False) -> Iterator[Cluster]:
    count = 5 if spare else 4
    settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    with ExitStack() as stack:
        servers = [
            _start(stack, folder / f"node{number}", *settings, port=quiet_port())
            for number in range(count)
        ]
        clients = [
            stack.enter_context(redis.Redis(port=server.port, decode_responses=True))
            for server in servers
        ]
        bounds = [0, 5461, 10923, 16384]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
            if number < 3:
                slots = range(bounds[number], bounds[number + 1])
                client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        wait_until(
            lambda: all(
                _state(client)["cluster_known_nodes"] == str(count) for client in clients
            )
        )
        first = clients[0].execute_command("CLUSTER", "MYID")
        clients[3].execute_command("CLUSTER", "REPLICATE", first)
        wait_until(lambda: all(_state(client)["cluster_state"] == "ok" for client in clients))
        wait_until(lambda: info(servers[3], "replication").get("master_link_status") == "up")
        yield Cluster(servers[:3], servers[3], servers[4] if spare else None)


def _state(client: redis.Redis) -> dict[str, str]:
    found: Any = client.execute_command("CLUSTER INFO")
    return dict(found)


def event(number: int | str) -> dict[str, str]:
    return {"type": "a.b", "stakeholders": "sre", "id": f"e{number}"}
