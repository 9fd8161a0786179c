"""Post one body to a channel's webhook, with retries, and let the breaker and readiness know."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    stop_never,
)

from notifier.config import RetrySettings
from notifier.events.notification import Notification
from notifier.events.outcome import Attempt, Attempts
from notifier.events.trace_context import new_span_id, parse_traceparent
from notifier.pipeline.alone import Alone, ClaimedError
from notifier.pipeline.delivery.limiter import ChannelLimiter, StoppedError
from notifier.pipeline.delivery.result import identity
from notifier.pipeline.spans import end_post_span, post_span
from notifier.teams.response import Classification, judge, misconfigured, retry_delay
from notifier.teams.sender import PostResult, WebhookSender
from notifier.telemetry import metrics
from notifier.telemetry.health import Health
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Span, Spans

log = structlog.get_logger(__name__)

_Result = tuple[Classification, PostResult]
"""One attempt: what follows, and what came back."""


class _NoWebhookError(Exception):
    """The channel's webhook was taken away while a notification was being retried."""


class UnsureError(Exception):
    """A post failed unforeseen once it had begun: the card may be in the channel. Its cause says where."""

    def __init__(self, tried: Attempts) -> None:
        super().__init__()
        self.tried = tried


class Poster:
    """Posts to one channel through its limiter."""

    def __init__(
        self,
        limiter: ChannelLimiter,
        sender: WebhookSender | None,
        *,
        retry: RetrySettings,
        health: Health,
        now: Callable[[], datetime],
        spans: Spans | None = None,
    ) -> None:
        self._limiter = limiter
        self._part = f"channel {limiter.channel}"
        self._sender = sender
        self._retry = retry
        self._health = health
        self._now = now
        self._spans = spans

    @property
    def host(self) -> str | None:
        """Return the webhook's host, None without a webhook."""
        return self._sender.host if self._sender else None

    def use(self, sender: WebhookSender | None, retry: RetrySettings) -> None:
        """Go on with another webhook and other limits from the next attempt on."""
        self._sender = sender
        self._retry = retry

    async def post(
        self,
        notification: Notification,
        body: bytes,
        *,
        still_ours: Callable[[], Awaitable[bool]],
        alone: Alone | None = None,
    ) -> tuple[Attempts, Classification | None]:
        """Post until accepted, refused or out of retries; the probe of an open breaker tries until it knows.

        `alone` makes an attempt whose death would count for the notification.

        The verdict is None when the channel has no webhook, or it was taken away in between.

        Raises:
            StoppedError: The daemon stops.
            ClaimedError: `still_ours`, which is asked before each attempt, said no.
            UnsureError: Something failed unforeseen after an attempt had begun; before that, it is raised as it is.
        """
        if self._sender is None:
            return Attempts(), None
        sender = self._sender
        headers = {
            "X-Correlation-ID": notification.correlation_id,
            "X-Priority": notification.priority.value,
        }
        context = (
            parse_traceparent(notification.traceparent) if notification.traceparent else None
        )
        if context is not None and notification.tracestate:
            headers["tracestate"] = notification.tracestate
        tried = Attempts()
        begun = False
        span: Span | None = None
        probe = await self._limiter.admit()

        async def begin() -> None:
            """Look once more before a post begins: the wait for a connection may have been long."""
            nonlocal begun, span
            self._limiter.go_on()
            if not await still_ours():
                raise ClaimedError
            if self._spans is not None:
                span = post_span(self._spans, notification, sender.address, resends=tried.count)
                headers["traceparent"] = span.traceparent
            elif context is not None:
                # Each attempt is a span of its own, also where nobody records it.
                headers["traceparent"] = context.child(new_span_id()).traceparent
            begun = True

        async def attempt() -> _Result:
            nonlocal tried, sender
            await self._limiter.reserve()
            # Looked up for each attempt, so that a corrected URL helps retries that wait already.
            if self._sender is None:
                raise _NoWebhookError
            sender = self._sender
            post = partial(
                sender.post,
                body,
                headers,
                message_id=notification.id,
                now=self._now,
                begin=begin,
            )
            answer = await (post() if alone is None else alone.do(post))
            tried = tried.plus(
                Attempt(answer.started_at, answer.duration_seconds, answer.status, answer.error)
            )
            verdict = (
                Classification.TRANSIENT
                if answer.status is None
                else judge(answer.status, attempt=tried.count)
            )
            try:
                await self._note(notification, answer, verdict, tried.count, span)
            except Exception as exc:
                # The card is in the channel, or is not, whatever fails at saying so.
                log_unforeseen("attempt_not_noted", exc, **identity(notification))
            return verdict, answer

        try:
            result = await attempt()
            if _is_transient(result):
                result = await self._again(attempt, result, probe=probe)
        except _NoWebhookError:
            return tried, None
        except (StoppedError, ClaimedError):
            raise
        except Exception as exc:
            if begun:
                raise UnsureError(tried) from exc
            raise
        finally:
            if probe:
                self._limiter.breaker.probe_ended()
        return tried, result[0]

    async def _again(
        self,
        attempt: Callable[[], Awaitable[_Result]],
        first: _Result,
        *,
        probe: bool,
    ) -> _Result:
        """Go on after a first attempt that failed; most posts need none of this, so it is made only here."""
        results = iter([first])

        async def next_attempt() -> _Result:
            return next(results, None) or await attempt()

        retrying = AsyncRetrying(
            retry=retry_if_result(_is_transient),
            stop=stop_never if probe else stop_after_attempt(self._retry.max_retries + 1),
            wait=self._wait_as_probe if probe else self._wait,
            sleep=self._limiter.sleep,
            retry_error_callback=_last_result,
        )
        result: _Result = await retrying(next_attempt)
        return result

    async def _note(
        self,
        notification: Notification,
        answer: PostResult,
        verdict: Classification,
        attempts: int,
        span: Span | None,
    ) -> None:
        """Let trace, metrics, breaker, pause, readiness and log know of an attempt."""
        if verdict is Classification.ACCEPTED:
            await self._accepted()
        else:
            await self._failed(notification, answer, verdict)
        if span is not None:
            end_post_span(span, answer)
        metrics.SEND_SECONDS_BY(notification.channel).observe(answer.duration_seconds)
        if attempts > 1:
            metrics.RETRIES.labels(notification.channel).inc()

    async def _accepted(self) -> None:
        """Let breaker and readiness know that the channel works."""
        await self._limiter.works()
        if self._part in self._health.components:
            self._health.mark_healthy(self._part)

    async def _failed(
        self, notification: Notification, answer: PostResult, verdict: Classification
    ) -> None:
        """Let breaker, pause, readiness and log know of an attempt that was not accepted."""
        if verdict is Classification.TRANSIENT:
            self._limiter.breaker.failed(time.monotonic())
            if answer.retry_after_seconds:
                await self._limiter.pause_everywhere(answer.retry_after_seconds)
            log.info("attempt_failed", error=answer.error, **identity(notification))
        elif misconfigured(answer.status):
            self._limiter.breaker.succeeded()
        else:
            await self._limiter.works()
        if misconfigured(answer.status):
            self._health.mark_failed(
                self._part,
                f"its webhook answers {answer.error}; check the Teams workflow and its URL",
            )
        elif answer.setup_fault:
            self._health.mark_failed(self._part, f"its webhook cannot be used: {answer.error}")
        elif self._limiter.breaker.closed:
            return
        await self._limiter.fails(answer.error or "no answer", answer.status, at=self._now())

    def _wait(self, state: RetryCallState) -> float:
        result = state.outcome.result() if state.outcome else None
        asked = result[1].retry_after_seconds if result else None
        retry = self._retry
        return retry_delay(
            state.attempt_number,
            asked=asked,
            factor=retry.factor,
            max_seconds=retry.max_delay_seconds,
            jitter=random.random(),  # noqa: S311 # nosec B311 - spreads load, guards nothing
        )

    def _wait_as_probe(self, state: RetryCallState) -> float:
        return max(self._limiter.breaker.open_seconds, self._wait(state))


def _is_transient(result: _Result) -> bool:
    return result[0] is Classification.TRANSIENT


def _last_result(state: RetryCallState) -> _Result:
    assert state.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
    result: _Result = state.outcome.result()
    return result
