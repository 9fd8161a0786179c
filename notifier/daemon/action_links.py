"""Sign the links of cards, by a clock that all processes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from notifier.broker.server import clock_ahead
from notifier.broker.streams import Streams
from notifier.cards.links import ActionLink
from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.errors import StreamError
from notifier.events.signing import EVENT_PARAMETER, action_token, event_mark

_AGREE_SECONDS = 60.0
_MEASURE_SECONDS = 15.0
_TIMEOUT_SECONDS = 2.0


@dataclass
class LinkClock:
    """This machine's clock, corrected if Redis' differs by over a minute."""

    ahead_seconds: float = 0.0
    """How far Redis' clock is ahead of ours; 0 until it was measured."""

    def time(self) -> float:
        """Return Unix seconds."""
        return time.time() + self.ahead_seconds

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def measure(self, streams: Streams) -> None:
        """Compare with Redis' clock; without an answer keep the last result."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                ahead = await clock_ahead(streams, now=time.time) or 0.0
        except (StreamError, TimeoutError):
            return
        self.ahead_seconds = ahead if abs(ahead) > _AGREE_SECONDS else 0.0

    async def run(self, streams: Streams) -> None:
        """Measure every 15 s, until cancelled."""
        while True:
            await asyncio.sleep(_MEASURE_SECONDS)
            await self.measure(streams)


def action_link(
    config: Config, secrets: Secrets, now: Callable[[], float]
) -> ActionLink | None:
    """Return a signer of action links; None without a key or public URL."""
    keys = secrets.keys
    base = config.public.url
    if keys is None or not base:
        return None
    signing = keys.current

    def link(notification_id: str, action: str, event_key: str) -> str:
        expires_at = int(now() + config.public.link_ttl_seconds)
        secret = signing.get_secret_value()
        token = action_token(
            secret,
            notification_id=notification_id,
            action=action,
            expires_at=expires_at,
        )
        return f"{base}/a/{token}?{EVENT_PARAMETER}={event_mark(secret, token, event_key)}"

    return link
