"""taskiq on a Redis stream, with the broker for acknowledged tasks.

taskiq-python.github.io: "State and Dependencies" (connections opened at WORKER_STARTUP), "CLI" (--ack-type when_executed,
two workers by default). Run: `taskiq worker benchmarks.contenders.taskiq_app:broker`.
"""

from __future__ import annotations

import os
from typing import Any

import aiohttp
from psycopg_pool import AsyncConnectionPool
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from benchmarks.contenders.string_card import INSERT, body_of, card_of

STREAM, GROUP = "bench:taskiq", "taskiq"
broker = RedisStreamBroker(
    os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0"),
    queue_name=STREAM,
    consumer_group_name=GROUP,
    consumer_id="0",
)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_connections(state: TaskiqState) -> None:
    """Open what the tasks of this worker share."""
    state.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))
    state.pool = AsyncConnectionPool(os.environ["BENCH_DATABASE_URL"], max_size=10, open=False, kwargs={"autocommit": True})  # fmt: skip
    await state.pool.open()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_connections(state: TaskiqState) -> None:
    """Close them."""
    await state.session.close()
    await state.pool.close()


@broker.task(task_name="notify")
async def notify(event: dict[str, Any], context: Context = TaskiqDepends()) -> None:
    """Render the card, post it, write the row."""
    card, channel = card_of(event), event["stakeholders"][0]
    async with context.state.session.post(
        f"{os.environ['BENCH_RECEIVER_URL']}/{channel}",
        data=body_of(card),
        headers={"Content-Type": "application/json"},
    ) as answer:
        answer.raise_for_status()
    async with context.state.pool.connection() as connection:
        await connection.execute(INSERT, (event["id"], channel, answer.status, card))
