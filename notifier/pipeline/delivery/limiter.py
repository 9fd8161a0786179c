"""Rate limit, pause and breaker of all posts to one channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from notifier.broker.consumer import Consumer
from notifier.broker.rate_limit import Failing, RateLimits
from notifier.config.models import BreakerSettings, RateLimitSettings
from notifier.errors import StreamError
from notifier.teams.breaker import Admission, Breaker
from notifier.teams.response import hint
from notifier.telemetry import metrics
from notifier.telemetry.clock import sleep_unless_stopped

log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
_LEAST_NOTE_SECONDS = 5.0


class StoppedError(Exception):
    """The daemon stops: leave the notification to another process."""


class ChannelLimiter:
    """Says when the next post to a channel may start."""

    def __init__(
        self,
        channel: str,
        group: Consumer,
        *,
        streams: Sequence[str],
        rate_limit: RateLimitSettings,
        breaker: BreakerSettings,
        stop: asyncio.Event,
        clock: Callable[[], float],
    ) -> None:
        self.channel = channel
        self.breaker = Breaker(breaker.failures, breaker.open_seconds)
        self._limits = RateLimits(group)
        self._streams = streams
        self._failing: Failing | None = None
        self._noted: float | None = None
        """When Redis last got the state of the channel."""
        self._limit = rate_limit
        self._stop = stop
        self._clock = clock
        self._paused_until = 0.0
        self.crowded = False
        """The last post had to wait for the rate limit: read no more than is needed."""

    def use(self, *, rate_limit: RateLimitSettings, breaker: BreakerSettings) -> None:
        """Continue with other limits; whether the breaker is open stays as it is."""
        self._limit = rate_limit
        self.breaker.failures_to_open = breaker.failures
        self.breaker.open_seconds = breaker.open_seconds

    @property
    def open(self) -> bool:
        """Tell whether the channel takes posts freely now."""
        return self.breaker.closed and self._clock() >= self._paused_until

    @property
    def known_healthy(self) -> bool:
        """Tell whether `works` would change nothing and has nobody to tell."""
        return self._failing is None and self._noted is not None and not self.breaker.failures

    @property
    def limited(self) -> bool:
        """Tell whether a rate limit is set."""
        return self._limit.requests > 0

    @property
    def pause_left_seconds(self) -> float:
        """Return for how many seconds nothing may be posted yet."""
        return max(0.0, self._paused_until - self._clock())

    def paused_for(self, seconds: float) -> None:
        """Pause the channel; a shorter pause never ends a longer one."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def pause_everywhere(self, seconds: float) -> None:
        """Leave the channel alone in every process (Retry-After)."""
        self.paused_for(seconds)
        log.warning("channel_paused", channel=self.channel, seconds=round(seconds, 1))
        try:
            await self._limits.pause(self.channel, seconds)
        except StreamError as exc:
            # The pause holds here; the receiver informs the other processes itself.
            log.warning("channel_pause_not_shared", channel=self.channel, reason=str(exc))

    async def works(self) -> None:
        """Note an answer of a working channel, whatever its state was."""
        self.breaker.succeeded()
        failing, self._failing = self._failing, None
        if failing is not None:
            log.info("channel_recovered", channel=self.channel, since=failing.since.isoformat())
        if failing is not None or self._noted is None:
            await self._note(None)

    async def fails(self, error: str, status: int | None, *, at: datetime) -> None:
        """Note a post that shows a failing channel; the breaker knows already."""
        open_until = self.breaker.open_until
        wait = None if open_until is None else timedelta(seconds=open_until - self._clock())
        before = self._failing
        self._failing = Failing(
            since=before.since if before else at,
            at=at,
            error=error,
            status=status,
            next_try=None if wait is None else at + wait,
        )
        if before is None:
            log.error(
                "channel_failing",
                channel=self.channel,
                error=error,
                fix=hint(status),
            )
        lately = self._noted is not None and self._clock() - self._noted < _LEAST_NOTE_SECONDS
        if before is None or before.error != error or not lately:
            await self._note(self._failing)

    async def _note(self, failing: Failing | None) -> None:
        self._noted = self._clock()
        with suppress(StreamError):
            for stream in self._streams:
                await self._limits.note_failing(stream, self.channel, failing)

    async def opens_soon(self) -> bool:
        """Wait up to a second; return whether posts may start.

        Raises:
            StoppedError: The daemon stops.
        """
        wait = self._closed_for()
        if wait > 0:
            await self.sleep(min(wait, _LOOK_AGAIN_SECONDS))
        return self._closed_for() <= 0

    def _closed_for(self) -> float:
        """Return the seconds until a post may start, a second during a probe."""
        open_until = self.breaker.open_until
        if open_until is None:
            return self.pause_left_seconds
        probing = _LOOK_AGAIN_SECONDS if self.breaker.probing else 0
        return max(self.pause_left_seconds, open_until - self._clock(), probing)

    async def admit(self) -> bool:
        """Wait until a post is allowed; True for the probe of an open breaker.

        Raises:
            StoppedError: The daemon stops.
        """
        while True:
            while not await self.opens_soon():
                pass
            match self.breaker.admit(self._clock()):
                case Admission.GO:
                    return False
                case Admission.PROBE:
                    return True
                case Admission.WAIT:
                    await self.sleep(_LOOK_AGAIN_SECONDS)

    async def reserve(self) -> None:
        """Wait for the rate limit of all processes, and for a newer pause.

        Raises:
            StoppedError: The daemon stops.
        """
        while True:
            while self._clock() < self._paused_until:
                await self.sleep(self.pause_left_seconds)
            if not self.limited:
                return
            wait = await self._reserved()
            self.crowded = wait > 0
            metrics.RATE_LIMIT_WAIT.labels(self.channel).inc(wait)
            await self.sleep(wait)
            if self._clock() >= self._paused_until:
                return

    async def _reserved(self) -> float:
        limit = self._limit
        while True:
            try:
                [wait] = await self._limits.reserve(
                    self.channel,
                    1,
                    seconds_each=limit.period_seconds / limit.requests,
                    burst=limit.burst,
                    distance_seconds=limit.min_interval_seconds,
                )
            except StreamError:
                # Without Redis the limit is unknown, and what is posted now could not be settled either.
                await self.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return wait

    def go_on(self) -> None:
        """Raise StoppedError if no post may begin any more."""
        if self._stop.is_set():
            raise StoppedError

    async def sleep(self, seconds: float) -> None:
        """Wait; raises StoppedError."""
        if await sleep_unless_stopped(self._stop, seconds):
            raise StoppedError
