"""FastStream on a Redis stream, with a consumer group and many workers.

faststream.ag2.ai: Redis, Streams, "Consumer Groups", "Acknowledgement"; Lifespan; `max_workers` for concurrency. Run: `python -m
benchmarks.contenders.faststream_app`, which is what its "Manual run" shows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from faststream import Context, ContextRepo, FastStream
from faststream.redis import RedisBroker, StreamSub
from psycopg_pool import AsyncConnectionPool

from benchmarks.contenders.string_card import INSERT, body_of, card_of

STREAM, GROUP = "bench:faststream", "faststream"
IN_FLIGHT = 64

broker = RedisBroker(os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0"), logger=None)


@asynccontextmanager
async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
    """Open what the handler shares."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session,
        AsyncConnectionPool(os.environ["BENCH_DATABASE_URL"], max_size=10, kwargs={"autocommit": True}) as pool,
    ):  # fmt: skip
        context.set_global("session", session)
        context.set_global("pool", pool)
        yield


app = FastStream(broker, lifespan=lifespan)


@broker.subscriber(
    stream=StreamSub(STREAM, group=GROUP, consumer="one", max_records=100, last_id=">"),
    max_workers=IN_FLIGHT,
)
async def handle(
    event: dict[str, Any],
    session: aiohttp.ClientSession = Context(),
    pool: AsyncConnectionPool = Context(),
) -> None:
    """Render the card, post it, write the row."""
    card, channel = card_of(event), event["stakeholders"][0]
    async with session.post(
        f"{os.environ['BENCH_RECEIVER_URL']}/{channel}",
        data=body_of(card),
        headers={"Content-Type": "application/json"},
    ) as answer:
        answer.raise_for_status()
    async with pool.connection() as connection:
        await connection.execute(INSERT, (event["id"], channel, answer.status, card))


if __name__ == "__main__":
    asyncio.run(app.run())
