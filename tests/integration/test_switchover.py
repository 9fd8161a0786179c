"""A primary and its replica change places: writers follow the primary."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from notifier.errors import StoreError
from notifier.sandbox.servers import Server, postgres_program, start_postgres
from notifier.store.database import KeptConnection
from tests.support.databases import kept, reading, writing
from tests.support.waiting import until

FAST = ["-c", "fsync=off", "-c", "autovacuum=off"]


@dataclass
class Pair:
    folders: tuple[Path, Path]
    servers: list[Server]

    def url(self, *numbers: int) -> str:
        hosts = ",".join(f"127.0.0.1:{self.servers[number].port}" for number in numbers)
        return f"postgresql://notifier@{hosts}/notifier"

    def switch(self) -> None:
        """Make the replica the primary, and the old primary its replica."""
        old, new = self.servers
        old.stop()
        with psycopg.connect(new.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 60)")
        (self.folders[0] / "cluster" / "standby.signal").touch()
        self.servers[0] = start_postgres(self.folders[0], port=old.port, extra_args=FAST)


@pytest.fixture
def pair(open_folder: Path) -> Iterator[Pair]:
    folders = (open_folder / "first", open_folder / "second")
    with ExitStack() as stack:
        first = start_postgres(folders[0], extra_args=FAST)
        pair = Pair(folders, [first])
        stack.callback(lambda: [server.stop() for server in pair.servers])
        cluster = folders[1] / "cluster"
        folders[1].mkdir(mode=0o755)
        copy = [str(postgres_program("pg_basebackup")), "-d", first.url, "-D", str(cluster)]
        subprocess.run([*copy, "-R", "--checkpoint=fast"], check=True)
        owner = folders[0].joinpath("cluster").stat()
        if os.geteuid() == 0:
            for path in (cluster, *cluster.rglob("*")):
                shutil.chown(path, owner.st_uid, owner.st_gid)
        pair.servers.append(start_postgres(folders[1], extra_args=FAST))
        with psycopg.connect(first.url) as connection:
            connection.execute("CREATE TABLE written (what text)")
        yield pair


async def write(connection: KeptConnection, what: str) -> None:
    async with connection.transaction() as opened:
        await opened.execute(b"INSERT INTO written VALUES (%s)", (what,))


async def port_of(url: str) -> int:
    async with reading(url).connection() as opened:
        return opened.info.port


async def test_writes_follow_the_primary(pair: Pair):
    connections = [kept(url) for url in (pair.url(1, 0), pair.url(0, 1))]
    for connection in connections:
        await write(connection, "before")
    assert await port_of(pair.url(1, 0)) == pair.servers[0].port
    with pytest.raises(StoreError, match="takes no writes"):
        await write(kept(pair.url(1)), "lost")
    assert await port_of(pair.url(1)) == pair.servers[1].port

    def there() -> bool:
        with psycopg.connect(pair.url(1)) as replica:
            found = replica.execute(
                "SELECT count(*) = 2 FROM written WHERE what = 'before'"
            ).fetchone()
            return found == (True,)

    await until(there)
    pair.switch()

    for connection in connections:
        with pytest.raises(StoreError, match="ended the connection"):
            await write(connection, "lost")
        await write(connection, "after")
        assert (await connection.opened()).info.port == pair.servers[1].port
    assert await port_of(pair.url(0, 1)) == pair.servers[1].port
    for connection in connections:
        await connection.close()


async def test_a_commit_that_waits_for_a_replica_that_is_gone_ends_in_time(open_folder: Path):
    waits = ["-c", "synchronous_standby_names=gone"]
    with start_postgres(open_folder, extra_args=FAST) as server:
        with psycopg.connect(server.url) as admin:
            admin.execute("CREATE TABLE written (what text)")
        server.stop()
        with start_postgres(open_folder, port=server.port, extra_args=[*FAST, *waits]) as again:
            connection = KeptConnection(writing(again.url, statement_seconds=1))
            async with asyncio.timeout(30):
                await write(connection, "kept")
            async with connection.transaction() as opened:
                cursor = await opened.execute(b"SELECT what FROM written")
                assert await cursor.fetchall() == [("kept",)]
                cursor = await opened.execute(
                    b"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                )
                assert await cursor.fetchall() == [(0,)]
            await connection.close()
