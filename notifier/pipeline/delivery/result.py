"""The result of a card: outcome, dead letter if refused, line in the log."""

from __future__ import annotations

from datetime import datetime

import msgspec
import structlog
from msgspec.structs import replace

from notifier.broker.entries import Entry
from notifier.broker.hop import HopResult, Move
from notifier.broker.keys import Keys
from notifier.dead_letters.model import Reason, of_notification
from notifier.events.notification import Notification
from notifier.events.outcome import Attempt, Status, encode_outcome, outcome_of
from notifier.events.trace_context import trace_fields
from notifier.teams.envelope import card_json
from notifier.teams.response import is_transient
from notifier.telemetry import metrics

log = structlog.get_logger(__name__)

_DELIVERED, _DEAD_LETTERED = Status.DELIVERED.value, Status.DEAD_LETTERED.value


class DeliveryResult(msgspec.Struct, frozen=True):
    """The result of a card, for one or more notifications."""

    template: str | None = None
    body: bytes | None = None
    """The bytes to post, if the card could be rendered."""
    reason: Reason | None = None
    """Why each of them becomes a dead letter; None: the card was accepted, or is not posted yet."""
    detail: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """The last ones, numbered from 1."""
    digest_id: str | None = None
    traceparent: str | None = None
    """Of the delivery, where spans are made: recording continues from there; empty: from each notification's own."""

    @property
    def last(self) -> Attempt | None:
        """Return the latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def count(self) -> int:
        """Return how many attempts were made."""
        return self.attempts[-1].attempt if self.attempts else 0

    def failed(
        self, reason: Reason, detail: str, attempts: tuple[Attempt, ...] = ()
    ) -> DeliveryResult:
        """Return the same, ended for this reason after these attempts."""
        return replace(self, reason=reason, detail=detail, attempts=attempts)

    def posted(self, attempts: tuple[Attempt, ...]) -> DeliveryResult:
        """Return the same with its attempts, and with a failure's reason."""
        last = attempts[-1]
        if last.accepted:
            return replace(self, attempts=attempts)
        reason, detail = Reason.REJECTED, f"the webhook refused it: {last.error}"
        if is_transient(last):
            reason = Reason.RETRIES_EXHAUSTED
            detail = f"failed {last.attempt} times, most recently: {last.error}"
        return replace(self, attempts=attempts, reason=reason, detail=detail)

    def move(
        self,
        entry: Entry,
        notification: Notification,
        keys: Keys,
        *,
        host: str | None,
        at: datetime,
    ) -> Move:
        """Return the hop that ends a notification: outcome and any dead letter."""
        record = outcome_of(
            notification,
            self.attempts,
            at=at,
            reason=self.reason,
            detail=self.detail,
            host=host,
            template=self.template,
            card=card_json(self.body) if self.body else None,
            digest_id=self.digest_id,
        )
        outcome: dict[str, str | bytes] = {"outcome": encode_outcome(record)}
        if self.traceparent is not None:
            outcome["traceparent"] = self.traceparent or notification.traceparent or ""
        if self.reason is None:
            return Move(entry.stream, entry.id, ((keys.outcomes, outcome),))
        last = self.last
        dead_letter = of_notification(
            notification,
            self.reason,
            self.detail or "",
            status=last.status_code if last else None,
            attempts=self.count,
            entry=entry,
            at=at,
        )
        targets = ((keys.outcomes, outcome), (keys.dead, dead_letter))
        return Move(entry.stream, entry.id, targets)

    def report(self, notification: Notification, result: HopResult) -> None:
        """Write the one line that says how a notification ended."""
        last = self.last
        fields = identity(notification)
        fields["status_code"] = last.status_code if last else None
        fields["attempts"] = self.count
        if last is not None:
            fields["duration_seconds"] = round(last.duration_seconds, 4)
        if self.digest_id is not None:
            fields["digest_id"] = self.digest_id
        if self.reason is not None:
            fields |= {"reason": self.reason.value, "detail": self.detail}
        if result is HopResult.LOST:
            log.warning("notification_settled_by_another_process", **fields)
            return
        metrics.SENT_BY(
            metrics.event_type_label(notification.event_type),
            notification.priority.value,
            _DELIVERED if self.reason is None else _DEAD_LETTERED,
        ).inc()
        if self.reason is not None:
            metrics.DEAD_LETTERS.labels(self.reason.value).inc()
            log.error("notification_dead_lettered", **fields)
        else:
            log.info("notification_delivered", **fields)


def identity(notification: Notification) -> dict[str, object]:
    """Return the fields by which a log line is found."""
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
