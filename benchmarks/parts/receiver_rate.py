"""Measure the receiver's limit, which must be far above every contender."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders.string_card import body_of, card_of
from benchmarks.work import event
from benchmarks.world import World

_CONNECTIONS = 64


class _Firing(asyncio.Protocol):
    """Sends the next request when the answer to the last one has come."""

    def __init__(self, request: bytes, until: float) -> None:
        self.answers = 0
        self._request = request
        self._until = until
        self._transport: Any = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count and continue."""
        self.answers += data.count(b"HTTP/1.1 202")
        if time.perf_counter() < self._until:
            self._transport.write(self._request)
        elif not self.ended.done():
            self.ended.set_result(None)
            self._transport.close()


async def _fire(port: int, seconds: float) -> int:
    body = body_of(card_of(event(1)))
    request = b"POST /sre HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body  # fmt: skip
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Firing(request, until), "127.0.0.1", port)
        for _ in range(_CONNECTIONS)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    return sum(protocol.answers for _, protocol in made)


def measure(world: World, *, seconds: float) -> dict[str, object]:
    """Return posts per second and the receiver's processor time for one."""
    world.receiver.ask("/reset")
    before = _cpu_ticks(world.receiver.pid)
    client = subprocess.run(
        [sys.executable, "-m", __name__, str(world.receiver.port), str(seconds)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 60,
        cwd=Path(__file__).parents[2],
    )
    count = int(client.stdout)
    spent = (_cpu_ticks(world.receiver.pid) - before) / os.sysconf("SC_CLK_TCK")
    world.receiver.ask("/reset")
    return {"per_second": round(count / seconds), "cpu_us": round(spent / count * 1e6, 1)}


def _cpu_ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(words[11]) + int(words[12])


if __name__ == "__main__":
    print(asyncio.run(_fire(int(sys.argv[1]), float(sys.argv[2]))))
