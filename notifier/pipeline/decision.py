"""The decision of intake about an entry, and its line in the log."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import structlog

from notifier.broker.hop import HopResult, Move
from notifier.dead_letters.model import Reason
from notifier.events.entry import Event
from notifier.events.notification import Notification
from notifier.events.times import ahead_of
from notifier.events.trace_context import trace_fields
from notifier.telemetry import metrics
from notifier.telemetry.tracing import Span

log = structlog.get_logger(__name__)


class Decision(NamedTuple):
    """Where an entry goes, and what the log says about it."""

    move: Move
    event: Event | None
    dead: Reason | None = None
    detail: str | None = None
    """Why it is buried whole."""
    notifications: tuple[Notification, ...] = ()
    span: Span | None = None

    @property
    def size_bytes(self) -> int:
        """Return how much it adds to Redis, roughly."""
        return sum([len(value) for _, fields in self.move.targets for value in fields.values()])


def report(decision: Decision, result: HopResult, now: datetime, *, debug: bool) -> str:
    """Log what became of an entry; returns the word that metrics have for it."""
    match result:
        case HopResult.MOVED if decision.dead is not None:
            log.warning(
                "event_dead_lettered", reason=decision.dead.value, **_log_fields(decision)
            )
            metrics.DEAD_LETTERS.labels(decision.dead.value).inc()
            return "dead_lettered"
        case HopResult.MOVED:
            ahead = decision.event and ahead_of(decision.event.time, now)
            if ahead:
                log.warning(
                    "event_time_ahead",
                    ahead_seconds=round(ahead.total_seconds()),
                    **_log_fields(decision),
                )
            if debug:
                log.debug("event_routed", **_log_fields(decision))
            return "routed"
        case HopResult.DUPLICATE:
            log.info("event_duplicate_dropped", **_log_fields(decision))
            return "duplicate"
        case HopResult.LOST:
            log.info("event_moved_by_another_process", **_log_fields(decision))
            return "moved_elsewhere"
        case HopResult.REFUSED:
            # The daemon's log names the key once; there may be thousands of these.
            log.debug("event_refused", **_log_fields(decision))
            return "refused"


def _log_fields(decision: Decision) -> dict[str, object]:
    entry_id, event = decision.move.entry_id, decision.event
    fields: dict[str, object] = {
        "entry_id": entry_id,
        "event_id": event.id if event else entry_id,
        "correlation_id": event.correlation_id if event else entry_id,
        "channel": None,
    }
    if decision.detail is not None:
        fields["detail"] = decision.detail
    else:
        fields["channels"] = [item.channel for item in decision.notifications]
    if event is None:
        return fields
    fields["event_type"] = event.type
    if event.traceparent:
        fields |= trace_fields(event.traceparent)
    if event.trace_ignored:
        fields["traceparent"] = "not valid (W3C Trace Context), ignored"
    return fields
