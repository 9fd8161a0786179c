"""Pages and metrics share few connections to Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from notifier.errors import StatementTimeoutError, StoreError
from notifier.sandbox.servers import Server
from notifier.store.pool import Pool
from tests.support.databases import reading
from tests.support.frozen import frozen

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
    slow = pool.share(2, seconds=0.5)

    async def read() -> object:
        async with slow() as connection:
            return await connection.fetch_value(b"SELECT pg_sleep(60)")

    found, other = await asyncio.gather(
        asyncio.gather(*(read() for _ in range(4)), return_exceptions=True), answer(pool)
    )

    assert other == 1
    assert {type(each) for each in found} <= {StatementTimeoutError, StoreError}
    assert sum("are busy" in str(each) for each in found) == 2


async def test_readers_that_gave_up_leave_nothing_behind():
    pool = Pool(reading("postgresql://u:p@127.0.0.1:1/db"))

    for _ in range(5):
        with pytest.raises(StoreError):
            await answer(pool)

    assert pool._pool.get_stats()["requests_waiting"] == 0
    await pool.close()
