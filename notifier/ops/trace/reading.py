"""Read what stands in Redis as parts of journeys; whatever cannot be read is passed over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from notifier.broker.entries import Fields
from notifier.broker.search import PendingEntry, SearchHit
from notifier.cards.redact_links import without_links
from notifier.dead_letters.model import RECORDER
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from notifier.events.json import exact_json
from notifier.events.notification import Notification, decode
from notifier.events.outcome import Outcome, decode_outcome
from notifier.events.times import entry_time
from notifier.ops.trace.models import Attempt, DeadLetterHit, Ended, Identity, Waiting

_MENTIONED_LENGTH = 4
"""Shorter ids would be found in any text."""


_LONGEST_TITLE = 400


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, in every way in which JSON may write it."""

    texts: frozenset[str]
    needles: tuple[bytes, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Query:
        """Make a query of ids that stand for the same."""
        wanted = frozenset(texts)
        ways = (
            way
            for text in wanted
            for way in (
                text,
                json.dumps(text)[1:-1],
                json.dumps(text, ensure_ascii=False)[1:-1],
            )
        )
        return cls(wanted, tuple({way.encode() for way in ways}))

    def may_be_in(self, fields: Fields) -> bool:
        """Tell cheaply whether an entry can be one that is looked for."""
        return any(needle in value for value in fields.values() for needle in self.needles)

    def names(self, *ids: JsonValue) -> bool:
        """Tell whether one of these ids is looked for."""
        return any(str(each) in self.texts for each in ids if isinstance(each, str | int))

    def is_event(self, stream: str, fields: Fields, max_bytes: int) -> bool:
        """Tell whether an entry of an event stream is looked for."""
        if not self.may_be_in(fields):
            return False
        try:
            event = parse_entry(stream, "0-0", fields, max_bytes=max_bytes)
        except EventError:
            return False
        return self.names(
            event.id,
            event.correlation_id,
            trace_id(event.traceparent),
            event.data.get("claim_id"),
        )

    def is_notification(self, fields: Fields) -> bool:
        """Tell whether an entry of a lane is looked for."""
        found = notification_in(fields) if self.may_be_in(fields) else None
        return found is not None and self.names(
            found.id,
            found.event_id,
            found.entry_id,
            found.correlation_id,
            trace_id(found.traceparent),
            found.data.get("claim_id"),
        )

    def is_outcome(self, fields: Fields) -> bool:
        """Tell whether an outcome is looked for."""
        record = outcome_in(fields) if self.may_be_in(fields) else None
        return record is not None and self.names(
            record.id,
            record.event_id,
            record.entry_id,
            record.correlation_id,
            record.digest_id,
            trace_id(record.traceparent),
            record.subject.get("claim_id"),
        )

    def is_letter(self, fields: Fields) -> bool:
        """Tell whether a dead letter is looked for: by its ids, by its claim, or because an entry that was no event mentions it."""
        if not self.may_be_in(fields):
            return False
        names = (b"event_id", b"correlation_id", b"notification_id", b"source_id")
        if self.names(*(_text(fields, name) for name in names)):
            return True
        event = fields.get(b"event", b"")
        if fields.get(b"stage") == b"delivery":
            letter = notification_in({b"notification": event})
            return letter is not None and self.names(
                trace_id(letter.traceparent), letter.data.get("claim_id")
            )
        return any(
            re.search(rb"(?<![\w-])" + re.escape(needle) + rb"(?![\w-])", event)
            for needle in self.needles
            if len(needle) >= _MENTIONED_LENGTH
        )


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace that a valid traceparent belongs to."""
    return traceparent[3:35] if traceparent else None


def notification_in(fields: Fields) -> Notification | None:
    """Return the notification that a lane's entry holds, None when it holds none."""
    try:
        return decode(fields.get(b"notification", b""))
    except ValueError:
        return None


def outcome_in(fields: Fields) -> Outcome | None:
    """Return the outcome that an entry holds, None when it holds none."""
    try:
        return decode_outcome(fields.get(b"outcome", b""))
    except ValueError:
        return None


def identity_of(notification: Notification) -> Identity:
    """Return what a notification in a lane is."""
    return Identity(
        notification.id,
        notification.stream,
        notification.entry_id,
        notification.event_id,
        notification.correlation_id,
        notification.event_type,
        notification.channel,
        notification.priority.value,
        trace_id(notification.traceparent),
        _time(notification.event_time),
    )


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def waiting_of(
    lane: str, spotted: SearchHit, length: int, hand: PendingEntry | None, channel: str
) -> Waiting:
    """Return how a notification waits, and what its channel says."""
    return Waiting(
        lane,
        entry_time(spotted.id),
        spotted.position,
        length,
        hand.consumer if hand else None,
        hand.idle_seconds if hand else None,
        hand.deliveries if hand else 0,
        channel,
    )


def ended_of(record: Outcome, *, card: bool) -> tuple[Identity, Ended, tuple[Attempt, ...]]:
    """Return what an outcome says that is not recorded yet."""
    identity = Identity(
        record.id,
        record.stream,
        record.entry_id,
        record.event_id,
        record.correlation_id,
        record.event_type,
        record.channel,
        record.priority,
        trace_id(record.traceparent),
        _time(record.event_time or ""),
    )
    payload = exact_json(bytes(record.card_payload).decode())
    title = payload.get("fallbackText") if isinstance(payload, dict) else None
    ended = Ended(
        record.status,
        record.status_code,
        record.error_message,
        record.sent_at,
        record.retry_count,
        record.webhook_host,
        record.template,
        str(title)[:_LONGEST_TITLE] if title else None,
        record.digest_id,
        None,
        without_links(payload) if card else None,
    )
    rows = [
        (each.attempt, each.started_at, each.duration_seconds, each.status_code, each.error)
        for each in record.attempts
    ]
    return identity, ended, attempts_of(rows)


def attempts_of(
    rows: list[tuple[int, datetime, float, int | None, str | None]],
) -> tuple[Attempt, ...]:
    """Return attempts, oldest first, each with the wait before it."""
    attempts: list[Attempt] = []
    ended: datetime | None = None
    for number, started, duration, status, error in sorted(rows, key=lambda row: row[1]):
        waited = None if ended is None else max(0.0, (started - ended).total_seconds())
        attempts.append(Attempt(number, started, duration, status, error, waited))
        ended = datetime.fromtimestamp(started.timestamp() + duration, UTC)
    return tuple(attempts)


def letter_of(
    stream: str, letter_id: str, fields: Fields
) -> tuple[DeadLetterHit, Notification | None, Outcome | None]:
    """Return a dead letter, with the notification or the outcome that it holds, if it holds one."""
    letter = DeadLetterHit(
        id=letter_id,
        dead_at=_text(fields, b"dead_at"),
        reason=_text(fields, b"reason"),
        detail=_text(fields, b"detail"),
        stage=_text(fields, b"stage"),
        stream=stream,
        source_id=_text(fields, b"source_id"),
        event_id=_text(fields, b"event_id"),
        correlation_id=_text(fields, b"correlation_id"),
        notification_id=_text(fields, b"notification_id"),
        event_type=_text(fields, b"event_type"),
        channel=_text(fields, b"channel"),
    )
    event = fields.get(b"event", b"")
    if letter.stage == "delivery":
        return letter, notification_in({b"notification": event}), None
    if letter.stage == RECORDER:
        return letter, None, outcome_in({b"outcome": event})
    return letter, None, None


def _text(fields: Fields, name: bytes) -> str:
    return fields.get(name, b"").decode(errors="replace")
