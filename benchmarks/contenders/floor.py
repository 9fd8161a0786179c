"""The floor: the least loop with the same libraries, without any safety.

Run: `python -m benchmarks.contenders.floor`; settings come from BENCH_REDIS_URL, BENCH_DATABASE_URL and BENCH_RECEIVER_URL.
"""

from __future__ import annotations

import asyncio
import json
import os

import aiohttp
import psycopg
import redis.asyncio

from benchmarks.contenders.string_card import INSERT, body_of, card_of

STREAM, GROUP = "bench:floor", "floor"
IN_FLIGHT = 64


async def main() -> None:
    """Work until killed."""
    client = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"], protocol=2)
    receiver = os.environ["BENCH_RECEIVER_URL"]
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session,
        await psycopg.AsyncConnection.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True) as database,
    ):  # fmt: skip

        async def post(fields: dict[bytes, bytes]) -> tuple[str, str, int, str]:
            event = {name.decode(): value.decode() for name, value in fields.items()}
            channel = event["stakeholders"]
            parsed = {**event, "stakeholders": [channel], "data": json.loads(event["data"])}
            card = card_of(parsed)
            async with session.post(
                f"{receiver}/{channel}",
                data=body_of(card),
                headers={"Content-Type": "application/json"},
            ) as answer:
                return event["id"], channel, answer.status, card

        while True:
            reply = await client.xreadgroup(GROUP, "one", {STREAM: ">"}, count=100, block=2000)
            for _, entries in reply:
                rows = await asyncio.gather(*(post(fields) for _, fields in entries))
                async with database.cursor() as cursor:
                    await cursor.executemany(INSERT, rows)
                await client.xack(STREAM, GROUP, *(entry_id for entry_id, _ in entries))


if __name__ == "__main__":
    asyncio.run(main())
