"""Post one body to a channel's webhook, with retries."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    stop_never,
)

from notifier.broker.consumer import Consumer
from notifier.broker.leases import Leases
from notifier.cards.renderer import CardRenderer
from notifier.config.models import DeliverySettings, RedisSettings, RetrySettings
from notifier.dead_letters.model import Reason
from notifier.events.notification import Notification
from notifier.events.outcome import KEPT_ATTEMPTS, Attempt
from notifier.events.trace_context import TraceContext, new_span_id, parse_traceparent
from notifier.pipeline.delivery.limiter import ChannelLimiter, StoppedError
from notifier.pipeline.delivery.result import DeliveryResult, identity
from notifier.pipeline.spans import end_post_span, post_span
from notifier.pipeline.stage import Alone, ClaimedError
from notifier.teams.response import is_transient, misconfigured, retry_delay
from notifier.teams.sender import WebhookSender
from notifier.telemetry import metrics
from notifier.telemetry.health import Health
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Span, Spans

log = structlog.get_logger(__name__)


class _NoWebhookError(Exception):
    """The channel has no webhook, or lost it during a retry."""


@dataclass(frozen=True, slots=True)
class DeliveryDependencies:
    """Dependencies that the lanes of all channels share."""

    group: Consumer
    leases: Leases
    renderer: CardRenderer
    delivery: DeliverySettings
    retry: RetrySettings
    redis: RedisSettings
    health: Health
    now: Callable[[], datetime]
    spans: Spans | None = None


class Poster:
    """Posts to one channel as its limiter allows.

    `sender` and `dependencies` may be changed: the next attempt uses them.
    """

    def __init__(
        self,
        limiter: ChannelLimiter,
        sender: WebhookSender | None,
        dependencies: DeliveryDependencies,
    ) -> None:
        self.limiter = limiter
        self.sender = sender
        self.dependencies = dependencies
        self.component = f"channel {limiter.channel}"
        self.seconds = metrics.SEND_SECONDS.labels(limiter.channel)

    @property
    def host(self) -> str | None:
        """Return the webhook's host, None without a webhook."""
        return self.sender.host if self.sender else None

    async def post(
        self,
        notification: Notification,
        rendered: DeliveryResult,
        *,
        still_ours: Callable[[], Awaitable[bool]],
        alone: Alone | None = None,
    ) -> DeliveryResult:
        """Post until the card is accepted, refused or out of retries.

        The probe of an open breaker tries until it has an answer.

        `alone` makes an attempt whose death would count for the notification.

        Raises:
            StoppedError: The daemon stops.
            ClaimedError: `still_ours`, which is asked before each attempt, said no.
            Exception: It failed unforeseen before an attempt had begun. After that, the result says so:
                the card may be in the channel.
        """
        if self.sender is None:
            return self._without_webhook(rendered)
        posting = _Posting(self, notification, rendered.body or b"", still_ours, alone)
        probe = not self.limiter.open and await self.limiter.admit()
        try:
            if await posting.attempt():
                await self._again(posting, probe=probe)
        except _NoWebhookError:
            return self._without_webhook(rendered, posting.attempts)
        except (StoppedError, ClaimedError):
            raise
        except Exception as exc:
            if not posting.begun:
                raise
            why = log_unforeseen("delivery_failed", exc, **identity(notification))
            return rendered.failed(Reason.INTERNAL_ERROR, why, posting.attempts)
        finally:
            if probe:
                self.limiter.breaker.probe_ended()
        return rendered.posted(posting.attempts)

    def _without_webhook(
        self, rendered: DeliveryResult, attempts: tuple[Attempt, ...] = ()
    ) -> DeliveryResult:
        channel = self.limiter.channel
        detail = (
            f"channel {channel} has no webhook; set TEAMS_WEBHOOK_{channel.upper()} and replay"
        )
        return rendered.failed(Reason.NOT_CONFIGURED, detail, attempts)

    async def _again(self, posting: _Posting, *, probe: bool) -> None:
        """Continue after a failed first attempt; most posts need none of this."""
        first, retry = True, self.dependencies.retry

        async def next_attempt() -> bool:
            nonlocal first
            if first:
                first = False
                return True
            return await posting.attempt()

        def wait(state: RetryCallState) -> float:
            seconds = retry_delay(
                state.attempt_number,
                asked=posting.attempts[-1].retry_after_seconds,
                factor=self.dependencies.retry.factor,
                max_seconds=self.dependencies.retry.max_delay_seconds,
                jitter=random.random(),  # noqa: S311 # nosec B311 - spreads load, guards nothing
            )
            return max(self.limiter.breaker.open_seconds, seconds) if probe else seconds

        await AsyncRetrying(
            retry=retry_if_result(bool),
            stop=stop_never if probe else stop_after_attempt(retry.max_retries + 1),
            wait=wait,
            sleep=self.limiter.sleep,
            retry_error_callback=lambda _: None,
        )(next_attempt)

    async def note(self, notification: Notification, attempt: Attempt) -> None:
        """Note an attempt in metrics, breaker, pause, readiness and log."""
        if attempt.accepted:
            if not self.limiter.known_healthy:
                await self.limiter.works()
            if self.component in self.dependencies.health.components:
                self.dependencies.health.mark_healthy(self.component)
        else:
            await self._note_failure(notification, attempt)
        self.seconds.observe(attempt.duration_seconds)
        if attempt.attempt > 1:
            metrics.RETRIES.labels(notification.channel).inc()

    async def _note_failure(self, notification: Notification, attempt: Attempt) -> None:
        limiter, status, health = self.limiter, attempt.status_code, self.dependencies.health
        if is_transient(attempt):
            limiter.breaker.failed(time.monotonic())
            if attempt.retry_after_seconds:
                await limiter.pause_everywhere(attempt.retry_after_seconds)
            log.info("attempt_failed", error=attempt.error, **identity(notification))
        elif misconfigured(status):
            limiter.breaker.succeeded()
        else:
            await limiter.works()
        if misconfigured(status):
            health.mark_failed(
                self.component,
                f"its webhook answers {attempt.error}; check the Teams workflow and its URL",
            )
        elif attempt.setup_fault:
            health.mark_failed(self.component, f"its webhook cannot be used: {attempt.error}")
        elif limiter.breaker.closed:
            return
        await limiter.fails(attempt.error or "no answer", status, at=self.dependencies.now())


class _Posting:
    """The attempts to post one body."""

    __slots__ = (
        "_alone", "_body", "_context", "_headers", "_notification", "_poster", "_span", "_still_ours",
        "attempts", "begun",
    )  # fmt: skip

    def __init__(
        self,
        poster: Poster,
        notification: Notification,
        body: bytes,
        still_ours: Callable[[], Awaitable[bool]],
        alone: Alone | None,
    ) -> None:
        self._poster = poster
        self._notification = notification
        self._body = body
        self._still_ours = still_ours
        self._alone = alone
        self._span: Span | None = None
        self._context: TraceContext | None = None
        self._headers = {
            "X-Correlation-ID": notification.correlation_id,
            "X-Priority": notification.priority.value,
        }
        if notification.traceparent:
            self._context = parse_traceparent(notification.traceparent)
            if self._context is not None and notification.tracestate:
                self._headers["tracestate"] = notification.tracestate
        self.attempts: tuple[Attempt, ...] = ()
        """The last ones."""
        self.begun = False
        """A post has begun: the card may be in the channel."""

    async def attempt(self) -> bool:
        """Post once; tell whether another attempt may succeed."""
        poster = self._poster
        if poster.limiter.limited or not poster.limiter.open:
            await poster.limiter.reserve()
        attempt = await (self._post() if self._alone is None else self._alone.do(self._post))
        self.attempts = (*self.attempts, attempt)[-KEPT_ATTEMPTS:]
        transient = not attempt.accepted and is_transient(attempt)
        try:
            await poster.note(self._notification, attempt)
            if self._span is not None:
                end_post_span(self._span, attempt)
        except Exception as exc:
            # The card is in the channel, or is not, whatever fails at saying so.
            log_unforeseen("attempt_not_noted", exc, **identity(self._notification))
        return transient

    async def _post(self) -> Attempt:
        poster = self._poster
        # Looked up for each attempt, so that a corrected URL helps retries that wait already.
        if poster.sender is None:
            raise _NoWebhookError
        return await poster.sender.post(
            self._body,
            self._headers,
            message_id=self._notification.id,
            now=poster.dependencies.now,
            number=self.attempts[-1].attempt + 1 if self.attempts else 1,
            begin=self._begin,
        )

    async def _begin(self) -> None:
        """Check once more before a post: the wait for a connection may be long."""
        poster = self._poster
        poster.limiter.go_on()
        if not await self._still_ours():
            raise ClaimedError
        spans = poster.dependencies.spans
        if spans is not None and poster.sender is not None:
            self._span = post_span(
                spans,
                self._notification,
                poster.sender.address,
                resends=self.attempts[-1].attempt if self.attempts else 0,
            )
            self._headers["traceparent"] = self._span.traceparent
        elif self._context is not None:
            # Each attempt is a span of its own, also where nobody records it.
            self._headers["traceparent"] = self._context.child(new_span_id()).traceparent
        self.begun = True
