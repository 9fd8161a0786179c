"""The outcome of a notification: what the recorder writes into Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from notifier.events.action import subject_of
from notifier.events.json_out import to_json_bytes
from notifier.events.notification import Notification


class Status(StrEnum):
    """How a notification ended."""

    DELIVERED = "delivered"
    """Accepted by the workflow (2xx); Teams does not say what it does afterwards."""
    DEAD_LETTERED = "dead_lettered"


class Attempt(NamedTuple):
    """One post."""

    started_at: datetime
    duration_seconds: float
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Attempts:
    """All attempts of a notification; only the last ones are kept in detail."""

    count: int = 0
    kept: tuple[Attempt, ...] = ()

    @property
    def last(self) -> Attempt | None:
        """Return the latest attempt."""
        return self.kept[-1] if self.kept else None

    def plus(self, attempt: Attempt) -> Attempts:
        """Return these attempts and one more."""
        return Attempts(self.count + 1, (*self.kept, attempt)[-_KEPT_ATTEMPTS:])


_KEPT_ATTEMPTS = 20


def encode_outcome(
    notification: Notification,
    status: Status,
    tried: Attempts,
    *,
    error: str | None,
    host: str | None,
    template: str | None,
    card_json: bytes | None,
    at: datetime,
    digest_id: str | None = None,
    reason: str | None = None,
) -> bytes:
    """Write the outcome as one JSON text; the card goes in as the bytes that were posted, not encoded again."""
    last = tried.last
    record = {
        "id": notification.id,
        "event_id": notification.event_id,
        "correlation_id": notification.correlation_id,
        "event_type": notification.event_type,
        "channel": notification.channel,
        "stakeholders": notification.stakeholders,
        "priority": notification.priority,
        "status": status,
        "status_code": last.status_code if last else None,
        "retry_count": max(0, notification.tried_before + tried.count - 1),
        "error_message": error,
        "dead_letter_reason": reason,
        "sent_at": at,
        "stream": notification.stream,
        "entry_id": notification.entry_id,
        "webhook_host": host,
        "template": template,
        "event_time": notification.event_time,
        "lang": notification.lang,
        "digest_id": digest_id,
        "traceparent": notification.traceparent,
        "subject": subject_of(notification.data),
        "attempts": _attempts(notification.tried_before + tried.count, tried.kept),
    }
    text = to_json_bytes(record)
    return text[:-1] + b',"card_payload":' + (card_json or b"null") + b"}"


def _attempts(count: int, kept: Sequence[Attempt]) -> list[dict[str, object]]:
    first = count - len(kept) + 1
    return [
        {
            "attempt": number,
            "started_at": attempt.started_at,
            "duration_seconds": round(attempt.duration_seconds, 6),
            "status_code": attempt.status_code,
            "error": attempt.error,
        }
        for number, attempt in enumerate(kept, start=first)
    ]
