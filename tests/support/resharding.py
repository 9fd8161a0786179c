"""Move one slot of a cluster step by step, as redis-cli reshards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from notifier.sandbox.servers import Server
from tests.support.topologies import Cluster, wait_until

_TIMEOUT_MS = 5_000


@dataclass
class Resharding:
    """The move of the slot that holds `key`; nothing happens before begin()."""

    key: str
    source: redis.Redis
    target: redis.Redis
    others: list[redis.Redis]
    target_port: int

    @property
    def slot(self) -> int:
        return int(self.source.execute_command("CLUSTER", "KEYSLOT", self.key))

    def begin(self) -> None:
        """Let the source send clients to the target for missing keys."""
        self._set(self.target, "IMPORTING", _id(self.source))
        self._set(self.source, "MIGRATING", _id(self.target))

    def keys(self) -> list[str]:
        """Return what the source still has of the slot."""
        command = ("CLUSTER", "GETKEYSINSLOT", self.slot, 100_000)
        return list(self.source.execute_command(*command))

    def move(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.source.execute_command(
                "MIGRATE", "127.0.0.1", self.target_port, key, 0, _TIMEOUT_MS
            )

    def finish(self) -> None:
        """Move what is left, and make the target the owner."""
        while left := self.keys():
            self.move(left)
        owner = _id(self.target)
        for client in (self.target, self.source, *self.others):
            self._set(client, "NODE", owner)
        wait_until(lambda: all(_owner(c, self.slot) == owner for c in self.others))

    def pending(self, stream: str, group: str) -> list[dict[str, Any]]:
        """Return pending entries of a stream on the target, before its slot moves."""
        self.target.execute_command("ASKING")
        found: Any = self.target.xpending_range(stream, group, min="-", max="+", count=100)
        return list(found)

    def _set(self, client: redis.Redis, state: str, node: str) -> None:
        client.execute_command("CLUSTER", "SETSLOT", self.slot, state, node)


@contextmanager
def resharding(shards: Cluster, key: str, target: Server | None = None) -> Iterator[Resharding]:
    """Prepare to move the slot of `key` to `target`, or to another master."""
    with shards.client() as client:
        port = int(client.get_node_from_key(key).port)  # type: ignore[union-attr,arg-type]
    [source] = [server for server in shards.masters if server.port == port]
    new = target or next(server for server in shards.masters if server is not source)
    others = [server for server in shards.masters if server not in (source, new)]
    # ASKING is for the next command of the same connection.
    clients = [
        redis.Redis(port=server.port, decode_responses=True, single_connection_client=True)
        for server in (source, new, *others)
    ]
    try:
        yield Resharding(key, clients[0], clients[1], clients[2:], new.port)
    finally:
        for each in clients:
            each.close()


def _id(client: redis.Redis) -> str:
    return str(client.execute_command("CLUSTER", "MYID"))


def _owner(client: redis.Redis, slot: int) -> str | None:
    for first, last, master, *_ in client.execute_command("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return str(master[2])
    return None
