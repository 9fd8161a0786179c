"""What time it is for links: by Redis' clock where this machine's is wrong, so that all processes mean the same."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from notifier.broker.client import Client
from notifier.config import RedisSettings
from notifier.errors import StreamError
from notifier.ops.doctor.redis_vitals import clock_ahead

_AGREE_SECONDS = 60.0
_MEASURE_SECONDS = 15.0
_PATIENCE_SECONDS = 2.0


@dataclass
class LinkClock:
    """This machine's clock, corrected by more than a minute only; uncorrected until Redis was asked."""

    ahead_seconds: float = 0.0
    """How far Redis' clock is ahead of ours."""

    def time(self) -> float:
        """Return Unix seconds."""
        return time.time() + self.ahead_seconds

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def measure(self, client: Client, settings: RedisSettings) -> None:
        """Ask Redis; while it is away what it said last holds."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                ahead = await clock_ahead(client, settings, now=time.time) or 0.0
        except (StreamError, TimeoutError):
            return
        self.ahead_seconds = ahead if abs(ahead) > _AGREE_SECONDS else 0.0

    async def follow(self, client: Client, settings: RedisSettings) -> None:
        """Measure now and then, until cancelled."""
        while True:
            await asyncio.sleep(_MEASURE_SECONDS)
            await self.measure(client, settings)
