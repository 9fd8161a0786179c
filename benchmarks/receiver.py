"""The receiver: the smallest HTTP server that notes posts and answers 202.

Run by the benchmark as `python -m benchmarks.receiver`; it prints its port. `GET /arrivals` tells what came since `GET /reset`,
`GET /answer/503` sets the answer to posts.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

_CLAIM = re.compile(rb"CLM-(\d+)")
_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)


class Arrivals:
    """Received events: number, and nanoseconds of the shared CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self.posts: list[tuple[int, int]] = []
        self.answer = b""
        self.set_answer(202)

    def set_answer(self, status: int) -> None:
        """Answer posts with this status from now on."""
        self.answer = b"HTTP/1.1 %d Status\r\nContent-Length: 0\r\n\r\n" % status

    def control(self, path: str) -> object:
        """Do what a GET asks for and return what to tell."""
        name, _, value = path.strip("/").partition("/")
        if name == "reset":
            self.posts = []
            self.set_answer(202)
        elif name == "answer":
            self.set_answer(int(value))
        elif name == "arrivals":
            return self.posts
        return len(self.posts)


class Connection(asyncio.Protocol):
    """One connection; requests may come in pieces or several at once."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer = self._buffer + data if self._buffer else data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                return
            request, self._buffer = self._buffer[:end], self._buffer[end:]
            if request.startswith(b"POST"):
                claim = _CLAIM.search(request, head)
                self._arrivals.posts.append(
                    (int(claim[1]) if claim else -1, time.monotonic_ns())
                )
                self._transport.write(self._arrivals.answer)
            else:
                told = self._arrivals.control(request.split(b" ", 2)[1].decode())
                body = json.dumps(told).encode()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)  # fmt: skip


async def main() -> None:
    """Serve until killed."""
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends with the benchmark


if __name__ == "__main__":
    asyncio.run(main())
