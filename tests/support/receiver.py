"""A real HTTP receiver on loopback that records requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    arrival: float
    status: int = 202
    """What it was answered."""


@dataclass
class _Answer:
    status: int
    headers: Mapping[str, str]
    delay: float
    times: int | None
    channel: str | None


@dataclass
class WebhookReceiver:
    """Answers 202 unless set otherwise."""

    requests: list[Received] = field(default_factory=list)
    _answers: list[_Answer] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _base: str = ""

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncIterator[Self]:
        """A receiver that listens until the block ends."""
        receiver = cls()
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.stop()

    async def start(self) -> None:
        self._open.set()
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/{channel}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, channel: str) -> str:
        return f"{self._base}/{channel}"

    def answer(
        self,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
        delay: float = 0,
        channel: str | None = None,
    ) -> None:
        """Answer so from now on, or for the next `times` requests.

        With `channel` it counts only for that channel.
        """
        self._answers.append(_Answer(status, headers or {}, delay, times, channel))

    def recover(self) -> None:
        """Answer 202 from now on."""
        self._answers.clear()

    def hold(self) -> None:
        """Take requests and answer none of them until release()."""
        self._open.clear()

    def release(self) -> None:
        """Answer what was held."""
        self._open.set()

    async def wait_for(self, count: int, seconds: float = 60) -> list[Received]:
        """Return the requests once there are `count`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        answer = self._next(request.match_info["channel"])
        async with self._arrived:
            arrival = asyncio.get_running_loop().time()
            self.requests.append(
                Received(request.path, request.headers, body, arrival, answer.status)
            )
            self._arrived.notify_all()
        await asyncio.sleep(answer.delay)
        await self._open.wait()
        return web.Response(status=answer.status, headers=answer.headers)

    def _next(self, channel: str) -> _Answer:
        for answer in self._answers:
            if answer.channel not in (None, channel):
                continue
            if answer.times is not None:
                answer.times -= 1
                if answer.times == 0:
                    self._answers.remove(answer)
            return answer
        return _Answer(202, {}, 0, None, None)
