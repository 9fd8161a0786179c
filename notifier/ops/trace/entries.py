"""Match entries of streams with an id; unreadable ones do not match."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from notifier.broker.entries import Fields
from notifier.dead_letters.model import RECORDER
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from notifier.events.notification import Notification, decode
from notifier.events.outcome import Outcome, decode_outcome
from notifier.ops.trace.models import DeadLetterHit

_MENTIONED_LENGTH = 4
"""A shorter id is part of any text."""


@dataclass(frozen=True, slots=True)
class Query:
    """The wanted ids, in every way in which JSON may write them."""

    texts: frozenset[str]
    needles: tuple[bytes, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Query:
        """Make a query of ids that mean the same."""
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
        """Tell cheaply whether an entry may match."""
        return any(needle in value for value in fields.values() for needle in self.needles)

    def names(self, *ids: JsonValue) -> bool:
        """Tell whether one of these ids is wanted."""
        return any(str(each) in self.texts for each in ids if isinstance(each, str | int))

    def is_event(self, stream: str, fields: Fields, max_bytes: int) -> bool:
        """Tell whether an entry of an event stream matches."""
        if not self.may_be_in(fields):
            return False
        try:
            event = parse_entry(stream, "0-0", fields, max_bytes=max_bytes)
        except EventError:
            return False
        trace, claim = trace_id(event.traceparent), event.data.get("claim_id")
        return self.names(event.id, event.correlation_id, trace, claim)

    def is_notification(self, fields: Fields) -> bool:
        """Tell whether an entry of a lane matches."""
        found = notification_in(fields) if self.may_be_in(fields) else None
        return found is not None and self._matches(found, found.data.get("claim_id"))

    def is_outcome(self, fields: Fields) -> bool:
        """Tell whether an outcome matches."""
        found = outcome_in(fields) if self.may_be_in(fields) else None
        return found is not None and (
            self._matches(found, found.subject.get("claim_id")) or self.names(found.digest_id)
        )

    def _matches(self, found: Notification | Outcome, claim: JsonValue) -> bool:
        ids = (found.id, found.event_id, found.entry_id, found.correlation_id)
        return self.names(*ids, trace_id(found.traceparent), claim)

    def is_dead_letter(self, fields: Fields) -> bool:
        """Tell whether a dead letter matches.

        It does by its ids, by its claim, or by the text of an invalid event.
        """
        if not self.may_be_in(fields):
            return False
        names = (b"event_id", b"correlation_id", b"notification_id", b"source_id")
        if self.names(*(_text(fields, name) for name in names)):
            return True
        event = fields.get(b"event", b"")
        if fields.get(b"stage") == b"delivery":
            found = notification_in({b"notification": event})
            return found is not None and self.names(
                trace_id(found.traceparent), found.data.get("claim_id")
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
    """Return the notification in a lane's entry, None without one."""
    try:
        return decode(fields.get(b"notification", b""))
    except ValueError:
        return None


def outcome_in(fields: Fields) -> Outcome | None:
    """Return the outcome in an entry, None without one."""
    try:
        return decode_outcome(fields.get(b"outcome", b""))
    except ValueError:
        return None


def dead_letter_in(
    stream: str, letter_id: str, fields: Fields
) -> tuple[DeadLetterHit, Notification | None, Outcome | None]:
    """Return a dead letter, with its notification or outcome, if any."""
    names = [each.name for each in dataclasses.fields(DeadLetterHit)]
    texts = {name: _text(fields, name.encode()) for name in names}
    letter = DeadLetterHit(**texts | {"id": letter_id, "stream": stream})
    event = fields.get(b"event", b"")
    if letter.stage == "delivery":
        return letter, notification_in({b"notification": event}), None
    if letter.stage == RECORDER:
        return letter, None, outcome_in({b"outcome": event})
    return letter, None, None


def _text(fields: Fields, name: bytes) -> str:
    return fields.get(name, b"").decode(errors="replace")
