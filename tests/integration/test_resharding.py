"""A slot moves to another master while daemons and producers work."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.broker.keys import Keys
from notifier.broker.scripts import Script
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.sandbox.servers import Server
from tests.support.daemons import DaemonsAt
from tests.support.topologies import Cluster, cluster, event, wait_until
from tests.support.waiting import until

STREAM = "teams:events"
KEYS = Keys(STREAM)
LANES = [KEYS.lane("sre", urgent=urgent) for urgent in (True, False)]
SETTINGS = {
    "TEAMS_REDIS__LEASE_SECONDS": "3",
    "TEAMS_REDIS__MAX_DELIVERIES": "2",
    "TEAMS_DELIVERY__IN_FLIGHT": "2",
    "TEAMS_CONNECTION_TIMEOUT": "120",
}
RENEWALS = 12
"""Of one lease: for four times as long as it lasts nobody but its owner has kept it. Events read and not hopped would be poison by then."""


@pytest.fixture(
    params=[
        "a master with slots",
        pytest.param("a master that was added", marks=pytest.mark.slow),
    ]
)
def move(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Cluster, Resharding]]:
    with (
        cluster(tmp_path / "servers", spare="added" in request.param) as shards,
        resharding(shards, STREAM, shards.spare) as moving,
    ):
        yield shards, moving


class Producer:
    """Publishes events one by one, each until Redis has confirmed it."""

    def __init__(self, shards: Cluster) -> None:
        self._client = shards.client()
        self.published = 0
        self.stop = asyncio.Event()

    async def run(self) -> None:
        with self._client:
            while not self.stop.is_set():
                try:
                    await asyncio.to_thread(self._client.xadd, STREAM, event(self.published))
                except (redis.RedisError, AttributeError):
                    # The driver has no node of a master without slots to follow ASK to.
                    await asyncio.sleep(0.05)
                    continue
                self.published += 1
                await asyncio.sleep(0.05)


async def renewed(moving: Resharding) -> None:
    """Return when every lease of the lane was renewed often enough."""
    idle: dict[str, int] = {}
    renewals: Counter[str] = Counter()

    def enough() -> bool:
        for entry in moving.pending(LANES[1], "notifier"):
            entry_id, now = entry["message_id"], entry["time_since_delivered"]
            renewals[entry_id] += now < idle.get(entry_id, 0)
            idle[entry_id] = now
        return bool(idle) and min(renewals.values()) >= RENEWALS

    await until(enough, 100)


@pytest.mark.slow
async def test_slot_moves_while_events_are_published_and_delivered(
    move: tuple[Cluster, Resharding], daemons_at: DaemonsAt
):
    shards, moving = move
    daemons = daemons_at(shards.url)
    await daemons.start(**SETTINGS)
    await daemons.start(**SETTINGS)
    producer = Producer(shards)
    publishing = asyncio.create_task(producer.run())
    await until(lambda: len(daemons.rows()) >= 20, 60)
    daemons.receiver.hold()
    posted = len(daemons.receiver.requests)
    await daemons.receiver.wait_for(posted + 4)
    hop = Script.read("notifier.broker", "replies", "hop").sha
    assert moving.target.script_exists(hop) == [False]

    moving.begin()
    moving.move(LANES)
    daemons.receiver.release()
    # A posted card cannot hop while its keys are on two masters.
    await until(lambda: "hop_waiting" in daemons.log(), 60)
    while (state := await daemons.readiness())["status"] == 200:
        await asyncio.sleep(0.05)
    assert "moves the slot of these keys" in str(state)
    await renewed(moving)
    await daemons.start(ready=False, **SETTINGS)
    moving.move([STREAM])
    before = producer.published
    await until(lambda: producer.published > before or shards.spare is not None, 60)
    moving.finish()

    before = producer.published
    await until(lambda: producer.published >= before + 20, 60)
    producer.stop.set()
    await publishing
    await until(lambda: len(daemons.rows()) == producer.published, 60)
    await until(lambda: not left_over(moving), 60)

    found = daemons.rows()
    assert {row["event_id"] for row in found} == {f"e{n}" for n in range(producer.published)}
    assert {row["status"] for row in found} == {"delivered"}
    posts = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert posts == Counter(str(row["id"]) for row in found)
    assert moving.target.script_exists(hop) == [True]
    assert "Traceback" not in daemons.log()
    await daemons.all_ready()


def left_over(moving: Resharding) -> dict[str, int]:
    """Count entries in the target's streams, and pending events."""
    client = moving.target
    counts = {key: int(client.xlen(key)) for key in (*LANES, KEYS.outcomes, KEYS.dead)}
    counts["pending"] = int(client.xpending(STREAM, "notifier")["pending"])
    return {key: count for key, count in counts.items() if count}


async def test_reads_that_wait_for_events_go_on_where_their_streams_have_gone(
    move: tuple[Cluster, Resharding], daemons_at: DaemonsAt
):
    shards, moving = move
    daemons = daemons_at(shards.url)
    await daemons.start(TEAMS_REDIS__BLOCK_SECONDS="10")
    # Events, outcomes and one channel at least wait in reads.
    await until(lambda: moving.source.info("clients")["blocked_clients"] >= 3, 60)

    moving.begin()
    moving.finish()
    with shards.client() as client:
        client.xadd(STREAM, event(1))

    await until(lambda: len(daemons.rows()) == 1, 60)
    await until(lambda: not left_over(moving), 60)
    assert len(daemons.receiver.requests) == 1
    assert "Traceback" not in daemons.log()
    assert "UNBLOCKED" not in daemons.log()
    await daemons.all_ready()


async def test_commands_of_many_tasks_all_follow_a_slot_that_is_on_its_way(
    move: tuple[Cluster, Resharding],
):
    shards, moving = move
    settings = load_config(None, {"REDIS_URL": shards.url}).redis
    client = connect(settings)
    group = Consumer(client, settings, "one")
    for _ in range(3):
        await group.add(STREAM, event(1))
    moving.begin()
    moving.move(moving.keys())

    for _ in range(5):
        lengths = await asyncio.gather(*(group.length(STREAM) for _ in range(8)))
        assert lengths == [3] * 8
    with pytest.raises(StreamError, match="moves the slot of these keys to another master"):
        await group.require_room(STREAM)

    moving.finish()
    await group.require_room(STREAM)
    assert await group.length(STREAM) == 3
    await close(client)


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
