"""The Teams of a run: it answers by plan, and notes accepted cards first."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter

from aiohttp import web

from tests.chaos.journal import Journal
from tests.chaos.plan import ACCEPTED, CHANNELS, Answer, Settings, answer, event, notifications

HANG_SECONDS = 20.0
RETRY_AFTER_SECONDS = 1

_STATUS = {Answer.PAUSE: 429, Answer.FAIL: 500, Answer.UNAVAILABLE: 503, Answer.REFUSE: 400}


class ChaosReceiver:
    """Listens on loopback, one path per channel."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._times: Counter[tuple[str, str]] = Counter(
            (line["channel"], line["event"]) for line in journal.lines()
        )
        self._down: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._base = ""
        self.last_post_at = 0.0
        """Of the loop's clock."""

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=1_000_000)
        app.router.add_post("/{channel}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self._base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """End it."""
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, channel: str) -> str:
        """Return a channel's webhook."""
        return f"{self._base}/{channel}"

    async def outage(self, which: int, seconds: float) -> None:
        """Answer 503 to everything of one channel for a while."""
        channel = CHANNELS[which]
        self._down[channel] += 1
        await asyncio.sleep(seconds)
        self._down[channel] -= 1

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        channel = request.match_info["channel"]
        # An escalation has the correlation id of its event.
        number = int(request.headers["X-Correlation-ID"].rpartition("-")[2])
        known = notifications(event(self._settings, number))
        event_id = known.get(request.headers["webhook-id"], request.headers["webhook-id"])
        try:
            await request.read()
        except (ConnectionError, web.HTTPException):
            return web.Response(status=400)  # the network broke off
        self.last_post_at = asyncio.get_running_loop().time()
        time = self._times[channel, event_id]
        self._times[channel, event_id] += 1
        chosen = answer(self._settings, channel, event_id, time)
        if self._down[channel]:
            chosen = Answer.UNAVAILABLE
        transport = request.transport
        gone = transport is None or transport.is_closing()
        self._journal.write(
            channel=channel, event=event_id, answer="gone" if gone else chosen.value
        )
        if chosen in ACCEPTED:
            return await _accept(request, slowly=chosen is Answer.ACCEPT_SLOWLY)
        if chosen is Answer.HANG:
            await asyncio.sleep(HANG_SECONDS)
        if chosen in _STATUS:
            headers = (
                {"Retry-After": str(RETRY_AFTER_SECONDS)} if chosen is Answer.PAUSE else {}
            )
            return web.Response(status=_STATUS[chosen], headers=headers)
        _reset(request)
        return web.Response(status=500)


async def _accept(request: web.Request, *, slowly: bool) -> web.StreamResponse:
    if not slowly:
        return web.Response(status=202)
    response = web.StreamResponse(status=202, headers={"Content-Length": "5"})
    try:
        await response.prepare(request)
        for _ in range(5):
            await response.write(b"1")
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass  # the daemon was killed meanwhile
    return response


def _reset(request: web.Request) -> None:
    """Drop the connection with an RST instead of an answer."""
    transport = request.transport
    if transport is None:
        return
    raw: socket.socket = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
