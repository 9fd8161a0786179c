"""Rows of the audit trail as readers get them; patient data are masked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One row of teams_notifications, without its card."""

    id: str
    stream: str
    entry_id: str
    event_id: str
    correlation_id: str
    event_type: str
    event_time: datetime | None
    lang: str | None
    channel: str
    priority: str
    status: str
    status_code: int | None
    retry_count: int
    error_message: str | None
    sent_at: datetime
    created_at: datetime
    webhook_host: str | None
    template: str | None
    digest_id: str | None
    traceparent: str | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None
    note: str | None
    via: str | None
    has_card: bool
    card_text: str | None
    """The card in one sentence; None: it was not kept."""

    @property
    def summary(self) -> str | None:
        """Return the card in one sentence; None for a member of a digest."""
        return self.card_text if self.digest_id is None else None

    @property
    def trace_id(self) -> str | None:
        """Return the trace of which the event was a part."""
        return self.traceparent[3:35] if self.traceparent else None


_COMPUTED = {
    "note": "n.action_data ->> 'note'",
    "via": "n.action_data ->> 'via'",
    "has_card": "n.card_payload IS NOT NULL",
    "card_text": "left(n.card_payload ->> 'fallbackText', 400)",
}

NOTIFICATION_ROW = ", ".join(
    f"{_COMPUTED.get(each.name, f'n.{each.name}')} AS {each.name}"
    for each in fields(NotificationRow)
).encode()
"""The columns of a NotificationRow, from `teams_notifications n`."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One post."""

    notification_id: str
    attempt: int
    started_at: datetime
    duration_seconds: float
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class EscalationRow:
    """A channel to which an event was escalated, by the scheduler or by hand."""

    stream: str
    event_id: str
    step: int
    channel: str
    cause: str
    who: str | None
    at: datetime
    escalation_id: str
    """The id of that channel's notification."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An accepted action on one notification."""

    notification_id: str
    action: str
    who: str
    at: datetime
    via: str
    applied: bool
    """Whether it is in the notification's row."""


@dataclass(frozen=True, slots=True)
class DeadLetterActionRow:
    """A dead letter that somebody replayed or discarded."""

    letter_id: str
    action: str
    who: str
    why: str | None
    at: datetime
    reason: str
    detail: str | None
    edited: bool
    stream: str
    event_id: str | None
    """Of the event that it became, or was when it was discarded."""
    notification_id: str | None
    """None: it had not become a notification."""
    channel: str | None
