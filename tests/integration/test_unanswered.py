"""The gauge of what nobody took, while Postgres hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from notifier.config import Config, load_config
from notifier.daemon.unanswered import UnansweredGauge
from notifier.telemetry import metrics
from tests.integration.test_escalation import record


class Way:
    """The way to a server; while it is shut, nothing comes through and nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        await self.open.wait()
        from_server, to_server = await asyncio.open_connection(*self._target)
        self._writers.add(to_server)
        for source, target in ((reader, to_server), (from_server, writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                await self.open.wait()
                target.write(data)
                await target.drain()
        target.close()


def shown() -> dict[str, float]:
    return {
        sample.labels["channel"]: sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if sample.name == "teams_unacknowledged_critical_notifications"
    }


async def test_a_postgres_that_hangs_holds_up_no_scrape_and_is_asked_again_later(
    database_url: str,
):
    record(database_url, "open", "sre", at=datetime.now(UTC))
    parts = urlsplit(database_url)
    way = Way(parts.hostname or "", parts.port or 0)
    async with way.serving():
        url = database_url.replace(f":{parts.port}/", f":{way.port}/")
        config: Config = load_config(None, {"DATABASE_URL": url})
        gauge = UnansweredGauge(lambda: config, interval_seconds=0)
        await gauge.observe()
        assert shown()["sre"] == 1

        way.open.clear()
        async with asyncio.timeout(9):  # the driver alone takes 13 s to give up
            await gauge.observe()
        assert shown() == {}

        way.open.set()
        async with asyncio.timeout(60):
            while shown().get("sre") != 1:
                await gauge.observe()
        await gauge.close()
