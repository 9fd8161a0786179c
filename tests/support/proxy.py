"""A TCP proxy that a test can shut, slow down, and cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_HALVES_APART_SECONDS = 0.02


class Proxy:
    """Carries connections to a server; while shut, it holds them silently."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        """Where new connections go."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self.delay_seconds = 0.0
        """How much later everything comes through."""
        self.halving = False
        """Whatever comes through comes in two halves, one after the other."""
        self.breaking = False
        """Connections end after the first half of whatever comes through next."""
        self.refusing = False
        """New connections end at once."""

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
            self.cut()
            for writer in self._writers:
                with suppress(ConnectionError):
                    await writer.wait_closed()

    def cut(self) -> None:
        """End every connection with a reset."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers = {each for each in self._writers if not each.transport.is_closing()}
        self._writers.add(writer)
        await self.open.wait()
        try:
            if self.refusing:
                raise ConnectionRefusedError
            from_server, to_server = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(to_server)
        for source, target in ((reader, to_server), (from_server, writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self.open.wait()
                half = len(data) // 2
                if self.breaking:
                    target.write(data[:half])
                    await target.drain()
                    break
                if self.halving:
                    target.write(data[:half])
                    await target.drain()
                    await asyncio.sleep(_HALVES_APART_SECONDS)
                    data = data[half:]
                target.write(data)
                await target.drain()
        target.close()
