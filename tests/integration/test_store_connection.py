"""Connections to Postgres, alone and pooled, while it fails or differs."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from notifier.errors import EncodingError, StatementTimeoutError, StoreError
from notifier.pipeline.recorder import AuditTrail
from notifier.pipeline.stage import run_steps
from notifier.sandbox.servers import Server
from notifier.store import migrations
from notifier.store.database import Access, Database, KeptConnection
from notifier.store.pool import Pool
from notifier.telemetry.health import Health
from tests.support.commands import notifier
from tests.support.databases import reading, writing
from tests.support.frozen import frozen
from tests.support.waiting import until

ROW = "INSERT INTO teams_actions (notification_id, action, who, via, at) VALUES (gen_random_uuid(), 'acknowledge', 'x', 'page', '{at}')"


def to(
    url: str, *, statement_seconds: float = 10, access: Access = Access.WRITE
) -> KeptConnection:
    return KeptConnection(Database(url, 2, statement_seconds, access))


async def ask(connection: KeptConnection, query: str) -> list[tuple[Any, ...]]:
    async with connection.transaction() as opened:
        cursor = await opened.execute(query.encode())
        return await cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(("said", "idle"), [("", 20), ("?keepalives_idle=7", 7)])
async def test_a_connection_asks_whether_the_server_is_still_there(
    database_url: str, said: str, idle: int
):
    connection = to(database_url + said)
    opened = await connection.opened()

    with socket.socket(fileno=socket.dup(opened.fileno())) as wire:
        found = [
            wire.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT,
            )
        ]  # fmt: skip
        asks = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    await connection.close()

    assert asks
    assert found == [idle, 10, 3, 50_000]


async def test_a_postgres_that_hangs_is_given_up_in_statement_commit_and_connect(
    postgres_server: Server, database_url: str
):
    held = [to(database_url, statement_seconds=0.5) for _ in range(3)]
    in_statement, in_commit, in_connect = held
    await in_statement.opened()
    await in_commit.opened()
    began = asyncio.Event()
    waits = asyncio.Event()

    async def commit() -> None:
        async with in_commit.transaction() as opened:
            await opened.execute(b"SELECT 1")
            began.set()
            await waits.wait()

    committing = asyncio.create_task(commit())
    await began.wait()
    with frozen(postgres_server):
        waits.set()
        works: list[Awaitable[object]] = [committing, ask(in_statement, "SELECT 1"), ask(in_connect, "SELECT 1")]  # fmt: skip
        async with asyncio.timeout(30):
            found = await asyncio.gather(*works, return_exceptions=True)
        assert [type(each) for each in found] == [StoreError] * 3
        for connection in held:
            await connection.close()

    assert await ask(in_statement, "SELECT 1") == [(1,)]
    await in_statement.close()


async def test_nobody_waits_for_a_statement_that_was_cancelled_while_postgres_hangs(
    postgres_server: Server, database_url: str
):
    connection = to(database_url, statement_seconds=600)
    await connection.opened()
    with frozen(postgres_server):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ask(connection, "SELECT 1")
        # The driver would ask the server to cancel, and wait for that.
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert await ask(connection, "SELECT 1") == [(1,)]
    await connection.close()


@pytest.mark.parametrize(
    "command", [["prune", "--dry-run"], ["migrate", "status"], ["report", "--timeout", "1"]]
)
def test_no_command_waits_for_a_postgres_that_hangs(
    postgres_server: Server, database_url: str, command: list[str]
):
    with frozen(postgres_server):
        done = notifier(
            *command, DATABASE_URL=database_url, TEAMS_DATABASE__CONNECT_TIMEOUT_SECONDS="2"
        )

    assert done.returncode == 4
    assert "does not answer in time" in done.stderr


async def test_a_server_that_became_a_replica_is_left_for_the_one_that_takes_writes(
    postgres_server: Server, database_url: str
):
    connection = to(database_url)
    await ask(connection, "SELECT 1")
    before = (await connection.opened()).info.backend_pid
    # As a switchover leaves it: the connection is sound, and every write is refused.
    await (await connection.opened()).execute(b"SET default_transaction_read_only = on")

    with pytest.raises(StoreError, match="takes no writes"):
        await ask(connection, ROW.format(at="now"))

    await ask(connection, ROW.format(at="now"))
    assert (await connection.opened()).info.backend_pid != before
    await connection.close()


async def test_a_connection_that_writes_finds_no_replica_good_enough(
    postgres_server: Server, database_url: str
):
    name = database_url.rpartition("/")[2]
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with pytest.raises(StoreError, match="takes no writes"):
        await to(database_url).opened()

    reads = to(database_url, access=Access.READ)
    assert await ask(reads, "SELECT 1") == [(1,)]
    await reads.close()


HABITS = {
    "DateStyle": "'SQL, DMY'", "IntervalStyle": "sql_standard", "TimeZone": "'Asia/Riyadh'", "bytea_output": "escape",
    "standard_conforming_strings": "off", "client_encoding": "LATIN1", "default_transaction_isolation": "serializable",
    "statement_timeout": "'1h'", "lock_timeout": "1", "idle_in_transaction_session_timeout": "50", "idle_session_timeout": "50",
    "extra_float_digits": "-15", "search_path": "public",
}  # fmt: skip


def outcome(**changes: object) -> bytes:
    at = "2026-11-24T10:15:00+03:00"
    record = {
        "id": str(uuid4()), "stream": "teams:events", "entry_id": "1-0", "event_id": "e1", "correlation_id": "سارة",
        "event_type": "a.b", "event_time": at, "lang": "ar", "channel": "sre", "stakeholders": ["sre"], "priority": "CRITICAL",
        "status": "delivered", "status_code": 202, "retry_count": 0, "error_message": None, "sent_at": at, "webhook_host": "h",
        "template": "generic", "card_payload": {"fallbackText": "سارة"}, "attempts": [],
    }  # fmt: skip
    return json.dumps(record | changes).encode()


async def recorded(url: str) -> list[tuple[Any, ...]]:
    store = AuditTrail(writing(url))
    await store.record([outcome()], store_cards=True, arrived=[0.0], checks=[])
    await store.close()
    async with reading(url).connection() as opened:
        query = b"SELECT sent_at, correlation_id, now() - now() FROM teams_notifications"
        return await (await opened.execute(query)).fetchall()


async def test_habits_of_a_database_change_nothing(postgres_server: Server, database_url: str):
    name = database_url.rpartition("/")[2]
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        for habit, value in HABITS.items():
            admin.execute(f"ALTER DATABASE {name} SET {habit} = {value}".encode())

    [(sent_at, correlation_id, _)] = await recorded(database_url)

    assert sent_at == datetime(2026, 11, 24, 7, 15, tzinfo=UTC)
    assert correlation_id == "سارة"


async def test_options_of_the_url_hold_for_migration_and_daemon_alike(empty_database_url: str):
    with psycopg.connect(empty_database_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA apart")
    url = empty_database_url + "?options=-csearch_path%3Dapart"
    await asyncio.to_thread(migrations.migrate_up, url)

    assert len(await recorded(url)) == 1

    with psycopg.connect(empty_database_url) as admin:
        counted = admin.execute("SELECT count(*) FROM apart.teams_notifications").fetchone()
    assert counted == (1,)


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def narrow_database_url(
    postgres_server: Server, request: pytest.FixtureRequest
) -> Iterator[str]:
    name = f"narrow_{uuid4().hex}"
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {name} ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0".encode()
        )
        yield postgres_server.url.removesuffix("/notifier") + f"/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def test_an_encoding_that_cannot_hold_every_text_is_named(narrow_database_url: str):
    with pytest.raises(EncodingError, match=r"SQL_ASCII|LATIN1"):
        await AuditTrail(writing(narrow_database_url)).check_schema()

    for command in (["migrate", "up"], ["migrate", "status"], ["run"]):
        done = await asyncio.to_thread(notifier, *command, DATABASE_URL=narrow_database_url)
        assert done.returncode == 5, done.stderr
        assert "UTF8" in done.stderr


TIMES = ["infinity", "-infinity", "0001-01-01T00:00+14:00", "4000-01-01 BC", "294276-12-31", "9999-12-31T23:59:59Z"]  # fmt: skip


@pytest.mark.parametrize("at", TIMES)
async def test_who_reads_gets_a_time_beyond_those_of_python_as_one_to_reckon_with(
    database_url: str, at: str
):
    with psycopg.connect(database_url) as admin:
        admin.execute(ROW.format(at=at).encode())
    connection = to(database_url, access=Access.READ)

    [(read,)] = await ask(connection, "SELECT at FROM teams_actions")
    await connection.close()

    assert datetime(1, 12, 1, tzinfo=UTC) < read < datetime(9001, 1, 1, tzinfo=UTC)
    assert (read > datetime(2026, 1, 1, tzinfo=UTC)) == (at in {"infinity", "294276-12-31", "9999-12-31T23:59:59Z"})  # fmt: skip


async def test_a_statement_that_takes_too_long_is_told_from_a_server_that_hangs(
    database_url: str,
):
    connection = to(database_url, statement_seconds=0.3)
    with pytest.raises(StatementTimeoutError):
        await ask(connection, "SELECT pg_sleep(60)")
    await connection.close()


async def test_nothing_is_done_while_a_slow_statement_runs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
):
    connection = to(database_url)
    await ask(connection, "SELECT 1")
    selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    select, turns = selector.select, []
    monkeypatch.setattr(selector, "select", lambda wait: turns.append(wait) or select(wait))

    await ask(connection, "SELECT pg_sleep(0.3)")

    assert len(turns) < 100
    await connection.close()


async def test_a_loop_that_waits_for_a_slow_statement_is_not_one_that_hangs(database_url: str):
    connection = to(database_url, statement_seconds=60)
    health, stop, hung = Health(), asyncio.Event(), asyncio.Event()

    async def turn() -> None:
        await ask(connection, "SELECT pg_sleep(0.5)")
        stop.set()
        await hung.wait()

    loop = asyncio.create_task(run_steps(turn, component="slow", stop=stop, health=health))
    await until(lambda: health.beats.get("slow", 0) > time.monotonic() + 50)
    assert health.stalled(time.monotonic() + 20, 10) == []

    await until(stop.is_set)
    assert health.stalled(time.monotonic() + 20, 10) == ["slow"]
    hung.set()
    await loop
    await connection.close()


OURS = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'notifier'"
LONG = 600.0
"""Seconds that no test waits for."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = Pool(reading(database_url), size=3)
    yield pool
    await pool.close()


async def answer(pool: Pool, query: bytes = b"SELECT 1", seconds: float = LONG) -> object:
    async with pool.connection(seconds) as connection:
        return await connection.fetch_value(query)


async def test_many_readers_share_a_few_connections(pool: Pool, database_url: str):
    found = await asyncio.gather(*(answer(pool, b"SELECT pg_sleep(0.01)") for _ in range(30)))

    assert len(found) == 30
    with psycopg.connect(database_url) as admin:
        assert admin.execute(OURS).fetchone() in [(1,), (2,), (3,)]


async def test_a_pool_that_cannot_connect_says_why_at_once():
    pool = Pool(reading("postgresql://u:topsecret@127.0.0.1:1/db"))

    found = await asyncio.gather(*(answer(pool) for _ in range(3)), return_exceptions=True)
    await pool.close()

    assert [type(each) for each in found] == [StoreError] * 3
    assert {"refuses connections" in str(each) for each in found} == {True}
    assert "topsecret" not in str(found)


async def test_a_connection_that_postgres_ended_is_replaced_before_it_is_lent(
    pool: Pool, database_url: str
):
    before = await answer(pool, b"SELECT pg_backend_pid()")
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (before,))

    assert await answer(pool, b"SELECT pg_backend_pid()") != before


async def test_a_reader_gets_its_seconds_and_no_more(pool: Pool, postgres_server: Server):
    with pytest.raises(StatementTimeoutError, match="narrow the filter"):
        await answer(pool, b"SELECT pg_sleep(60)", seconds=0.3)
    with frozen(postgres_server), pytest.raises(StoreError):
        await answer(pool, seconds=0.3)

    assert await answer(pool) == 1


async def test_slow_readers_of_one_kind_hold_up_no_others(pool: Pool):
    slots = asyncio.Semaphore(2)

    async with pool.connection(LONG, slots), pool.connection(LONG, slots):
        with pytest.raises(StoreError, match="are busy"):
            async with pool.connection(0.1, slots):
                pass
        assert await answer(pool) == 1


async def test_readers_that_gave_up_leave_nothing_behind():
    pool = Pool(reading("postgresql://u:p@127.0.0.1:1/db"))

    for _ in range(5):
        with pytest.raises(StoreError):
            await answer(pool)

    assert pool._pool.get_stats()["requests_waiting"] == 0
    await pool.close()
