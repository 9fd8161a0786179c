"""Bound what one reply of Redis may hold: whoever may add an entry must not be able to fill this process's memory."""

from __future__ import annotations

from typing import Any

from redis._parsers import _AsyncHiredisParser
from redis.exceptions import ConnectionError, RedisError
from typing_extensions import override

MAX_REPLY_BYTES = 32 * 2**20
"""Stages aim at a quarter of it; they ask again in smaller pieces for what was more."""
_LINE_BYTES = 30
"""What each line of a reply counts for beside its bytes: a field of one byte has four of them, and becomes objects of a hundred bytes."""


class ReplyTooLargeError(RedisError):
    """A reply was larger than this process takes; the connection was closed in its middle, and the command has run."""


class BoundedParser(_AsyncHiredisParser):
    """The driver's parser, which gives up a reply that is too large. Such an error is not tried again by the driver."""

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
