"""The outcome of a notification: what the recorder writes into Postgres."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec.structs import replace

from notifier.events.action import subject_of
from notifier.events.json import reader, to_json
from notifier.events.notification import Data, Notification

_NO_CARD = msgspec.Raw(b"null")

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Status(StrEnum):
    """How a notification ended."""

    DELIVERED = "delivered"
    """Accepted by the workflow (2xx); Teams does not say what it does afterwards."""
    DEAD_LETTERED = "dead_lettered"


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One POST and what came of it."""

    attempt: int
    """Its number, from 1; in an outcome the attempts before a replay count too."""
    started_at: Time
    duration_seconds: float
    status_code: int | None
    """None: no answer came, and `error` says why."""
    error: str | None
    retry_after_seconds: float | None = None
    """The wait that the receiver asked for."""
    setup_fault: bool = False
    """Whether people have to fix the error: a certificate, or where the host name leads."""

    @property
    def accepted(self) -> bool:
        """Tell whether the webhook took the card."""
        return self.status_code is not None and 200 <= self.status_code < 300


class Outcome(msgspec.Struct, frozen=True):
    """The end of a notification.

    Each field but `attempts` is a column of teams_notifications.

    A field without a default is one that readers of earlier versions cannot do without.
    """

    id: str
    stream: str
    entry_id: str
    event_id: str
    correlation_id: str
    event_type: str
    channel: str
    priority: str
    status: str
    status_code: int | None
    retry_count: int
    error_message: str | None
    sent_at: Time
    webhook_host: str | None
    template: str | None
    stakeholders: tuple[str, ...] = ()
    dead_letter_reason: str | None = None
    event_time: str | None = None
    lang: str | None = None
    digest_id: str | None = None
    traceparent: str | None = None
    subject: Data = {}
    attempts: tuple[Attempt, ...] = ()
    """The last ones."""
    card_payload: msgspec.Raw = _NO_CARD
    """The card as it was posted, not encoded again."""


def outcome_of(
    notification: Notification,
    attempts: tuple[Attempt, ...],
    *,
    at: datetime,
    reason: str | None = None,
    detail: str | None = None,
    host: str | None = None,
    template: str | None = None,
    card: bytes | None = None,
    digest_id: str | None = None,
) -> Outcome:
    """Return how a notification ended.

    Args:
        notification: The one that ended.
        attempts: The last ones, numbered from 1.
        at: When it ended.
        reason: Why it became a dead letter; None: it was delivered.
        detail: The same for people.
        host: Of the webhook.
        template: Of the card.
        card: The JSON that was posted.
        digest_id: Of the card that several notifications share.
    """
    last = attempts[-1] if attempts else None
    before = notification.tried_before
    if before:
        attempts = tuple(replace(each, attempt=before + each.attempt) for each in attempts)
    return Outcome(
        id=notification.id,
        stream=notification.stream,
        entry_id=notification.entry_id,
        event_id=notification.event_id,
        correlation_id=notification.correlation_id,
        event_type=notification.event_type,
        channel=notification.channel,
        priority=notification.priority,
        status=Status.DELIVERED if reason is None else Status.DEAD_LETTERED,
        status_code=last.status_code if last else None,
        retry_count=max(0, before + (last.attempt if last else 0) - 1),
        error_message=detail,
        sent_at=at,
        webhook_host=host,
        template=template,
        stakeholders=notification.stakeholders,
        dead_letter_reason=reason,
        event_time=notification.event_time,
        lang=notification.lang,
        digest_id=digest_id,
        traceparent=notification.traceparent,
        subject=subject_of(notification.data),
        attempts=attempts,
        card_payload=_NO_CARD if card is None else msgspec.Raw(card),
    )


KEPT_ATTEMPTS = 20
"""Attempts of a notification that are kept in detail."""

encode_outcome = to_json
"""Write an outcome as one JSON text."""

decode_outcome = reader(Outcome)
"""Read what `encode_outcome` wrote; raises ValueError on anything else."""
