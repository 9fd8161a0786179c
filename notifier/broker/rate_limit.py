"""Share a channel's rate limit, pauses and failures between processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from notifier.broker import keys
from notifier.broker.errors import of_another_type
from notifier.broker.keys import Keys
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams
from notifier.errors import StreamError

_RESERVE = Script.read(__package__, "rate_limit_reserve")
_SPENT = Script.read(__package__, "rate_limit_spent")


class Failing(BaseModel):
    """A channel whose webhook does not accept posts."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    at: datetime
    """Time of the last attempt."""
    error: str
    status: int | None = None
    """HTTP status of the last attempt; None if none came back."""
    next_try: datetime | None = None
    """When the breaker lets the next post through; None if each post is tried at once."""

    def described(self) -> str:
        """Return when a channel began to fail, its error and next try, in UTC."""
        next_try = f", next try {self.next_try:%H:%M:%S}" if self.next_try else ""
        return f"failing since {self.since:%Y-%m-%d %H:%M} UTC, last {self.error}{next_try}"


class RateLimits:
    """Limits of a group; every method raises StreamError if Redis is away."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def reserve(
        self,
        channel: str,
        count: int,
        *,
        seconds_each: float,
        burst: int,
        distance_seconds: float,
    ) -> list[float]:
        """Reserve `count` requests to a channel; returns the wait of each, in s.

        Raises:
            StreamError: Redis is away, or another program keeps something else under this key, which log and /readyz name too.
        """
        key = keys.rate(channel, self._streams.group_name)
        argv = [count, seconds_each * 1000, burst, distance_seconds * 1000]
        refused = self._streams.refused_keys
        try:
            waits = await self._streams.run(_RESERVE, [key], argv)
        except StreamError as exc:
            if of_another_type(exc):
                refused.note(f"{_RESERVE.name} {key} WRONGTYPE".encode())
            raise
        refused.forget([key])
        return [wait / 1000 for wait in waits]

    async def spent(self, channel: str) -> float:
        """Return the seconds until all of a channel's burst is free again."""
        key = keys.rate(channel, self._streams.group_name)
        return int(await self._streams.run(_SPENT, [key], [])) / 1000

    async def pause(self, channel: str, seconds: float) -> None:
        """Pause a channel in every process; never shortens a longer pause."""
        key, client = keys.pause(channel, self._streams.group_name), self._streams.client
        pause_ms = max(1, int(seconds * 1000))
        async with self._streams.errors():
            if await client.pttl(key) < pause_ms:
                await client.set(key, "1", px=pause_ms)

    async def pauses(self, channels: Sequence[str]) -> list[float]:
        """Return for each channel for how many seconds nothing may be posted."""
        async with self._streams.errors():
            pipeline = self._streams.client.pipeline(transaction=False)
            for channel in channels:
                pipeline.pttl(keys.pause(channel, self._streams.group_name))
            return [max(0, int(left)) / 1000 for left in await pipeline.execute()]

    async def note_failing(self, stream: str, channel: str, failing: Failing | None) -> None:
        """Record that a channel fails, or that it recovered (None)."""
        text = "" if failing is None else failing.model_dump_json()
        async with self._streams.errors():
            await cast("Any", self._streams.client.hset(Keys(stream).failing, channel, text))

    async def failing(self, stream: str) -> dict[str, Failing]:
        """Return the failing channels that this stream's processes recorded."""
        async with self._streams.errors():
            written: Any = await cast("Any", self._streams.client.hgetall(Keys(stream).failing))
        found = {}
        for channel, text in written.items():
            try:
                found[channel.decode()] = Failing.model_validate_json(text)
            except (ValidationError, UnicodeDecodeError):
                # An empty text is of a channel that recovered.
                continue
        return found
