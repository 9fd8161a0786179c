"""Producers: they publish each event until Redis has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tests.chaos.journal import Journal
from tests.chaos.plan import Settings, event

_RETRY_SECONDS = 0.2


class Producers:
    """Share one counter of events and a journal of what Redis has accepted."""

    def __init__(
        self, settings: Settings, redis_url: Callable[[], str], journal: Journal
    ) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._journal = journal
        done = {int(line["number"]) for line in journal.lines()}
        self._left = iter([number for number in range(settings.events) if number not in done])
        self.published = len(done)
        self._progress = asyncio.Condition()

    async def run(self) -> None:
        """Publish everything."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._settings.producers):
                tasks.create_task(self._produce())

    async def reached(self, count: int) -> None:
        """Return once `count` events are published."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.published >= count)

    async def _produce(self) -> None:
        client = redis.asyncio.Redis.from_url(
            self._redis_url(), socket_timeout=3, retry=Retry(NoBackoff(), 0)
        )
        clock = asyncio.get_running_loop().time
        each = self._settings.producers / self._settings.rate
        due = clock()
        try:
            for number in self._left:
                await self._publish(client, number)
                due = max(
                    due + each, clock() - each
                )  # what an outage delayed is not caught up with
                await asyncio.sleep(max(0.0, due - clock()))
        finally:
            await client.aclose()

    async def _publish(self, client: redis.asyncio.Redis, number: int) -> None:
        planned = event(self._settings, number)
        tries, wanted = 0, 2 if planned.twice else 1
        while wanted:
            tries += 1
            try:
                await client.xadd("teams:events", planned.fields)  # type: ignore[arg-type]
                wanted -= 1
            except (RedisError, OSError):
                await asyncio.sleep(_RETRY_SECONDS)
        self._journal.write(number=number, tries=tries)
        async with self._progress:
            self.published += 1
            self._progress.notify_all()
