"""The spans of the three stages, without event data or webhook paths.

Attributes follow OpenTelemetry's conventions for messaging and HTTP; url.full is left out, for a webhook's URL is its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from notifier.broker.entries import Entry
from notifier.events.entry import Event
from notifier.events.notification import Notification
from notifier.events.outcome import Attempt
from notifier.pipeline.delivery.result import DeliveryResult, identity
from notifier.teams.sender import Address
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Kind, Span, Spans, Value


def intake_span(spans: Spans, event: Event) -> Span:
    """Begin the span of an intake; it continues the producer's trace, if any."""
    attributes: dict[str, Value] = {
        **_messaging("intake", event.stream, event.entry_id, event.correlation_id),
        "notifier.event.id": event.id,
        "notifier.event.type": event.type,
    }
    return spans.begin(
        "intake", Kind.CONSUMER, attributes, parent=event.traceparent, state=event.tracestate
    )


class DeliverySpan:
    """The span of a delivery, until its outcome is kept.

    A digest that joins several traces begins one of its own, with a link to each.
    """

    def __init__(self, spans: Spans, batch: Sequence[tuple[Entry, Notification]]) -> None:
        entry, first = batch[0]
        traces = [each.traceparent for _, each in batch if each.traceparent]
        together = len(batch) == 1 or (
            len(traces) == len(batch) and len({trace[3:35] for trace in traces}) == 1
        )
        self._digest = len(batch) > 1
        self._span = spans.begin(
            "deliver",
            Kind.CONSUMER,
            {
                **_messaging("deliver", entry.stream, entry.id, first.correlation_id),
                "messaging.batch.message_count": len(batch),
                "notifier.channel": first.channel,
                "notifier.event.id": first.event_id,
                "notifier.event.type": first.event_type,
                "notifier.notification.id": first.id,
                "notifier.priority": first.priority.value,
            },
            parent=first.traceparent if together else None,
            state=first.tracestate if together else None,
            links=traces if self._digest else (),
        )
        self._result: DeliveryResult | None = None

    @property
    def traceparent(self) -> str:
        """Return its place in the trace."""
        return self._span.traceparent

    def seen(self, result: DeliveryResult) -> DeliveryResult:
        """Note the result; return it with the trace that recording continues."""
        self._result = result
        return replace(result, traceparent="" if self._digest else self.traceparent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        result = self._result
        if result is None or kind is not None:
            self._span.end({"notifier.result": "left_to_another_process"})
            return
        reason = result.reason
        attributes: dict[str, Value] = {
            "notifier.result": "dead_lettered" if reason else "delivered",
            "notifier.attempts": result.count,
        }
        if result.template:
            attributes["notifier.card"] = result.template
        self._span.end(attributes, error=reason.value if reason else None)


def delivery_span(
    spans: Spans | None, batch: Sequence[tuple[Entry, Notification]]
) -> AbstractContextManager[DeliverySpan | None]:
    """Begin the span of a delivery, if spans are made; an error costs no card."""
    if spans is None:
        return nullcontext()
    try:
        return DeliverySpan(spans, batch)
    except Exception as exc:
        log_unforeseen("delivery_not_traced", exc, **identity(batch[0][1]))
        return nullcontext()


def post_span(
    spans: Spans, notification: Notification, address: Address, *, resends: int
) -> Span:
    """Begin the span of one attempt."""
    attributes: dict[str, Value] = {
        "http.request.method": "POST",
        "url.scheme": address.scheme,
        "server.address": address.host,
        "server.port": address.port,
        "notifier.channel": notification.channel,
    }
    if resends:
        attributes["http.request.resend_count"] = resends
    return spans.begin(
        "POST",
        Kind.CLIENT,
        attributes,
        parent=notification.traceparent,
        state=notification.tracestate,
    )


def end_post_span(span: Span, attempt: Attempt) -> None:
    """End the span of an attempt with its status."""
    if attempt.status_code is None:
        span.end({}, error="no_answer")
        return
    error = None if attempt.error is None else str(attempt.status_code)
    span.end({"http.response.status_code": attempt.status_code}, error=error)


def record_spans(spans: Spans, entries: Sequence[Entry], *, began_ns: int) -> None:
    """Make a span of each recorded outcome, in its own trace.

    `began_ns` is when the batch began.
    """
    for entry in entries:
        parent = (entry.fields or {}).get(b"traceparent", b"").decode(errors="replace")
        if not parent:
            continue
        attributes: dict[str, Value] = {
            **_messaging("record", entry.stream, entry.id, None),
            "messaging.batch.message_count": len(entries),
            "db.system.name": "postgresql",
            "db.collection.name": "teams_notifications",
        }
        span = spans.begin(
            "record", Kind.CONSUMER, attributes, parent=parent, started_ns=began_ns
        )
        span.end({})


def _messaging(
    operation: str, stream: str, entry_id: str, correlation_id: str | None
) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "messaging.system": "redis",
        "messaging.destination.name": stream,
        "messaging.operation.name": operation,
        "messaging.operation.type": "process",
        "messaging.message.id": entry_id,
    }
    if correlation_id is not None:
        attributes["messaging.message.conversation_id"] = correlation_id
    return attributes
