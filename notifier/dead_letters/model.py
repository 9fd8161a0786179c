"""A dead letter: its reason, stage and whole event."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice

from pydantic import JsonValue

from notifier.broker.entries import Entry
from notifier.errors import EventError
from notifier.events.json import json_object, to_json
from notifier.events.notification import Notification, encode


class Reason(StrEnum):
    """Why something could not be delivered; one word that operators filter by."""

    INVALID_EVENT = "invalid_event"
    UNSIGNED = "unsigned"
    UNROUTABLE = "unroutable"
    UNKNOWN_CHANNEL = "unknown_channel"
    NOT_CONFIGURED = "not_configured"
    CARD_ERROR = "card_error"
    CARD_TOO_LARGE = "card_too_large"
    REJECTED = "rejected"
    RETRIES_EXHAUSTED = "retries_exhausted"
    POISON = "poison"
    UNRECORDABLE = "unrecordable"
    INTERNAL_ERROR = "internal_error"


RECORDER = "recorder"
"""Stage of a dead letter that holds an outcome: the post is over, only its record is missing."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it is listed, shown and replayed."""

    id: str
    stream: str
    """The event stream that it belongs to."""
    fields: dict[str, str]
    """Everything but the event."""
    raw: str = field(default="", repr=False, compare=False)
    """The event as it was kept, not masked; empty in a page."""

    def count(self, name: str) -> int:
        """Return the number in a field, 0 if it is missing or unreadable."""
        text = self.fields.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def of_notification(
    notification: Notification,
    reason: Reason,
    detail: str,
    *,
    entry: Entry,
    at: datetime,
    status: int | None = None,
    attempts: int = 0,
) -> dict[str, str | bytes]:
    """Make the dead letter of a notification; its event is masked already."""
    known = {
        "channel": notification.channel,
        "event_type": notification.event_type,
        "event_id": notification.event_id,
        "correlation_id": notification.correlation_id,
        "notification_id": notification.id,
        "priority": notification.priority.value,
    }
    posts = {
        "last_status": "" if status is None else str(status),
        "attempts": str(attempts),
        "attempts_before": str(notification.tried_before),
        "history": to_json(notification.endings).decode(),
    }
    return of_entry(
        "delivery", reason, detail, event=encode(notification), entry=entry, at=at, known=known, posts=posts
    )  # fmt: skip


_NOTHING: Mapping[str, str] = {}
_NO_POSTS = {"last_status": "", "attempts": "0"}
_KNOWN = (
    "channel",
    "event_type",
    "event_id",
    "correlation_id",
    "notification_id",
    "priority",
)


_WORD = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_LEGIBLE = {
    "type": ("event_type", re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")),
    "id": ("event_id", _WORD),
    "correlation_id": ("correlation_id", _WORD),
    "source": ("source", _WORD),
}
"""Members of an event: what a dead letter calls them, and which texts they may be."""
_MOST_LEGIBLE_BYTES = 262_144


def of_entry(
    stage: str,
    reason: Reason,
    detail: str,
    *,
    event: str | bytes,
    entry: Entry,
    at: datetime,
    known: Mapping[str, str] = _NOTHING,
    posts: Mapping[str, str] = _NO_POSTS,
) -> dict[str, str | bytes]:
    """Make the dead letter of an entry that never became a notification.

    Source and signer are kept only where they could be read.
    """
    return {
        "reason": reason.value,
        "detail": detail,
        "stage": stage,
        **{name: known.get(name, "") for name in _KNOWN},
        **posts,
        "dead_at": at.isoformat(timespec="milliseconds"),
        "source_stream": entry.stream,
        "source_id": entry.id,
        **{name: known[name] for name in ("source", "signer") if name in known},
        "event": event,
    }


def legible(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the sound fields of an entry that is not an event."""
    texts: dict[str, object] = {
        name: fields[name.encode()].decode(errors="replace")
        for name in _LEGIBLE
        if name.encode() in fields
    }
    if b"event" in fields and len(fields[b"event"]) <= _MOST_LEGIBLE_BYTES:
        with suppress(EventError, UnicodeDecodeError):
            members = json_object("event", fields[b"event"].decode())
            texts = {"correlation_id": members.get("correlationid"), **members, **texts}
    found = {}
    for name, (member, sound) in _LEGIBLE.items():
        text = texts.get(name)
        if isinstance(text, str) and sound.fullmatch(text):
            found[member] = text
    return found


def poison_detail(deliveries: int) -> str:
    """Say of what was delivered this often why it is buried."""
    return f"was claimed {deliveries - 1} times without an end; a process may have died of it"


def raw_fields(fields: Mapping[bytes, bytes]) -> str:
    """Write an entry's fields as JSON; other than UTF-8 as {"base64": …}."""
    written: dict[str, JsonValue] = {}
    for key, value in fields.items():
        name = key.decode(errors="backslashreplace")
        try:
            written[name] = value.decode()
        except UnicodeDecodeError:
            written[name] = {"base64": base64.b64encode(value).decode()}
    return json.dumps({"fields": written}, ensure_ascii=False, separators=(",", ":"))


_SHOWN_FIELDS = 50
_SHOWN_NAME = 100


def shortened_fields(fields: Mapping[bytes, bytes], size_bytes: int) -> str:
    """Write the size and field names of an entry that is too large to keep."""
    names: list[JsonValue] = [
        name.decode(errors="backslashreplace")[:_SHOWN_NAME]
        for name in islice(fields, _SHOWN_FIELDS)
    ]
    shortened: JsonValue = {"bytes": size_bytes, "names": names}
    return json.dumps({"shortened": shortened}, ensure_ascii=False, separators=(",", ":"))
