"""How a notification ends: its outcome, its dead letter if it was refused, and its line in the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import structlog

from notifier.broker.entries import Entry
from notifier.broker.hop import HopResult, Move
from notifier.broker.keys import Keys
from notifier.dead_letters.model import Reason, of_notification
from notifier.events.notification import Notification
from notifier.events.outcome import Attempts, Status, encode_outcome
from notifier.events.trace_context import trace_fields
from notifier.teams.envelope import card_json
from notifier.teams.response import Classification
from notifier.telemetry import metrics

log = structlog.get_logger(__name__)

_DELIVERED, _DEAD_LETTERED = Status.DELIVERED.value, Status.DEAD_LETTERED.value


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a notification cannot be delivered."""

    reason: Reason
    detail: str


class DeliveryResult(NamedTuple):
    """What came of a card, for one or more notifications."""

    tried: Attempts
    refused: Failure | None = None
    template: str | None = None
    body: bytes | None = None
    digest_id: str | None = None
    traceparent: str | None = None
    """Of the delivery, where spans are made: recording goes on from there; empty: from each notification's own."""

    def of_span(self, traceparent: str) -> DeliveryResult:
        """Return the same with the place in the trace where it happened."""
        return self._replace(traceparent=traceparent)

    def move(
        self,
        entry: Entry,
        notification: Notification,
        keys: Keys,
        *,
        host: str | None,
        at: datetime,
    ) -> Move:
        """Return the hop that ends a notification: its outcome and, if refused, its dead letter."""
        refused, last = self.refused, self.tried.last
        outcome = encode_outcome(
            notification,
            Status.DELIVERED if refused is None else Status.DEAD_LETTERED,
            self.tried,
            error=refused.detail if refused else None,
            host=host,
            template=self.template,
            card_json=card_json(self.body) if self.body else None,
            at=at,
            digest_id=self.digest_id,
            reason=refused.reason.value if refused else None,
        )
        targets: tuple[tuple[str, dict[str, str | bytes]], ...] = (
            (keys.outcomes, {"outcome": outcome}),
        )
        if self.traceparent is not None:
            parent = self.traceparent or notification.traceparent or ""
            targets = ((keys.outcomes, {"outcome": outcome, "traceparent": parent}),)
        if refused is not None:
            letter = of_notification(
                notification,
                refused.reason,
                refused.detail,
                status=last.status_code if last else None,
                attempts=self.tried.count,
                source=(entry.stream, entry.id),
                at=at,
            )
            targets = (*targets, (keys.dead, letter))
        return Move(entry.stream, entry.id, targets)

    def report(self, notification: Notification, result: HopResult) -> None:
        """Write the one line that says how a notification ended."""
        last = self.tried.last
        fields = identity(notification)
        fields["status_code"] = last.status_code if last else None
        fields["attempts"] = self.tried.count
        if last is not None:
            fields["duration_seconds"] = round(last.duration_seconds, 4)
        if self.digest_id is not None:
            fields["digest_id"] = self.digest_id
        if self.refused is not None:
            fields |= {"reason": self.refused.reason.value, "detail": self.refused.detail}
        if result is HopResult.LOST:
            log.warning("notification_settled_by_another_process", **fields)
            return
        metrics.SENT_BY(
            metrics.event_type_label(notification.event_type),
            notification.priority.value,
            _DELIVERED if self.refused is None else _DEAD_LETTERED,
        ).inc()
        if self.refused is not None:
            metrics.DEAD_LETTERS.labels(self.refused.reason.value).inc()
            log.error("notification_dead_lettered", **fields)
        else:
            log.info("notification_delivered", **fields)


def identity(notification: Notification) -> dict[str, object]:
    """Return what a log line needs to be found by."""
    found: dict[str, object] = {
        "correlation_id": notification.correlation_id,
        "event_id": notification.event_id,
        "channel": notification.channel,
        "event_type": notification.event_type,
        "notification_id": notification.id,
    }
    if notification.traceparent:
        found |= trace_fields(notification.traceparent)
    return found


def refusal(tried: Attempts, verdict: Classification) -> Failure | None:
    """Return why what came of the last attempt is the end without a card; None for a card that was accepted."""
    error = tried.last.error if tried.last else None
    match verdict:
        case Classification.ACCEPTED:
            return None
        case Classification.TRANSIENT:
            detail = f"failed {tried.count} times, at last: {error}"
            return Failure(Reason.RETRIES_EXHAUSTED, detail)
        case Classification.PERMANENT:
            return Failure(Reason.REJECTED, f"the webhook refused it: {error}")
