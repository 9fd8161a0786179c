"""Bound the connections to one Redis server, and the size of a reply."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from redis._parsers import _AsyncHiredisParser
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError, RedisError
from typing_extensions import override

SHARED = 20
"""Connections for what does not wait, such as hops and the rate limit: each command takes about a millisecond."""
_KEPT = 2
"""Of the connections that a server still gives, so many are not for reads: hops come first."""
_TIGHT_SECONDS = 5.0
"""So long after a server refused a connection for its maxclients, what there is must do."""
_LOOK_AGAIN_SECONDS = 0.05

MAX_REPLY_BYTES = 32 * 2**20
"""Stages aim at a quarter of it; they ask again in smaller pieces for larger replies."""
_LINE_BYTES = 30
"""Added for each line of a reply, beside its bytes: a field of one byte has four of them, and becomes objects of a hundred bytes."""

_waiting = ContextVar("_waiting", default=False)


@contextmanager
def a_read_that_waits() -> Iterator[None]:
    """Let the command within hold a connection of its own while it waits."""
    token = _waiting.set(True)
    try:
        yield
    finally:
        _waiting.reset(token)


def too_many_clients(exc: BaseException) -> bool:
    """Tell whether a server refused a connection for its maxclients."""
    return isinstance(exc, ConnectionError) and "max number of clients" in str(exc)


class _Slots:
    """Lets so many tasks in at a time, the others in their order."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.inside = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    def allow(self, limit: float) -> None:
        """Change how many there may be."""
        self._limit = limit
        self._admit()

    async def enter(self) -> None:
        """Wait for a slot; leave() gives it back."""
        if not self._queue and self.inside < self._limit:
            self.inside += 1
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(slot)
        self._admit()
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give a slot back."""
        self.inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._queue and self.inside < self._limit:
            slot = self._queue.popleft()
            if not slot.done():
                self.inside += 1
                slot.set_result(None)


class Sharing(ConnectionPool):
    """Hands out connections, working ones first; else the command waits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._reads, self._others = _Slots(math.inf), _Slots(SHARED)
        self._slots: dict[AbstractConnection, _Slots] = {}
        """By connection in use."""
        self.tight = False
        """Whether the server refused a connection lately: its maxclients is reached."""
        super().__init__(*args, **kwargs)

    @override
    async def get_connection(
        self, command_name: Any = None, *keys: Any, **options: Any
    ) -> AbstractConnection:
        slots = self._reads if _waiting.get() else self._others
        give_up = time.monotonic() + _TIGHT_SECONDS
        while True:
            await slots.enter()
            try:
                connection: AbstractConnection = await super().get_connection()  # type: ignore[no-untyped-call]
            except BaseException as exc:
                slots.leave()
                if not too_many_clients(exc):
                    raise
                self._keep_to_open_ones()
                if slots is self._reads or not self._slots or time.monotonic() > give_up:
                    raise
                # Reads give theirs back soon, and take no more of them.
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            else:
                self._slots[connection] = slots
                return connection

    def _keep_to_open_ones(self) -> None:
        """Use only the open connections for a while; keep some from reads."""
        if self.tight:
            return
        self.tight = True
        idle = sum(bool(each.is_connected) for each in self._available_connections)
        have = idle + len(self._slots)
        self._reads.allow(max(1, have - _KEPT))
        self._others.allow(max(1, min(SHARED, have)))
        asyncio.get_running_loop().call_later(_TIGHT_SECONDS, self._try_for_more)

    def _try_for_more(self) -> None:
        self.tight = False
        self._reads.allow(math.inf)
        self._others.allow(SHARED)

    @override
    async def release(self, connection: AbstractConnection) -> None:
        try:
            await super().release(connection)
        finally:
            if (slots := self._slots.pop(connection, None)) is not None:
                slots.leave()
        available = self._available_connections
        if available and available[-1] is connection and not connection.is_connected:
            # The last one is the next to be taken.
            available.insert(0, available.pop())

    async def leave(self) -> None:
        """Close every connection, those in use as soon as they are given back.

        The next ones ask where the server is.
        """
        await self.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        await self.disconnect(inuse_connections=False)


class SentinelPool(Sharing, SentinelConnectionPool):
    """Of the master that Sentinels name."""


class ReplyTooLargeError(RedisError):
    """A reply was larger than this process takes.

    The connection was closed in its middle, and the command has run.
    """


class BoundedParser(_AsyncHiredisParser):
    """The driver's parser, which gives up a reply that is too large.

    Whoever may add an entry must not be able to fill this process's memory.
    """

    __slots__ = ("_left",)

    @override
    async def read_response(
        self, disable_decoding: bool = False, push_request: bool = False
    ) -> Any:
        self._left = MAX_REPLY_BYTES
        return await super().read_response(disable_decoding, push_request)

    @override
    async def read_from_socket(self) -> bool:
        stream: Any = self._stream
        reader: Any = self._reader
        received = await stream.read(self._read_size)
        if not received:
            raise ConnectionError("Connection closed by server.")
        self._left -= len(received) + _LINE_BYTES * received.count(b"\r\n")
        if self._left < 0:
            raise ReplyTooLargeError
        reader.feed(received)
        return True
