"""A notification: one event for one channel, as it waits in a lane."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import JsonValue

from notifier.events.entry import Priority
from notifier.events.json import reader, to_json

if TYPE_CHECKING:
    Data = dict[str, JsonValue]
else:
    # msgspec reads annotations when it is imported, and knows no recursive types.
    Data = dict[str, Any]

_NAMESPACE = uuid.UUID("5a0f8f0e-6a4b-5c53-9d0e-1f6c2b1f7c11").bytes
MOST_TRIES = 2**31 - 1
"""The largest integer of Postgres."""


class Ending(msgspec.Struct, frozen=True):
    """How a notification ended as a dead letter, before it was replayed."""

    dead_at: str
    reason: str
    detail: str


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything delivery needs; the event's data are masked already."""

    id: str
    channel: str
    stakeholders: tuple[str, ...]
    priority: Priority
    card: str
    stream: str
    entry_id: str
    event_id: str
    event_type: str
    correlation_id: str
    event_time: str
    lang: str
    source: str | None
    traceparent: str | None
    data: Data
    tried_before: Annotated[int, msgspec.Meta(ge=0, le=MOST_TRIES)] = 0
    """Posts before it was replayed."""
    endings: tuple[Ending, ...] = ()
    """How it ended each time before it was replayed, oldest first; at most ten are kept."""
    tracestate: str | None = None
    """Goes with traceparent."""
    of_event: str | None = None
    """Key of the event that this one escalates, as notifier signed it; None: it is of its own event."""

    @property
    def acts_on(self) -> str:
        """Return the key of the event that people act on from its card."""
        return self.of_event or event_key(self.stream, self.event_id)


def notification_id(stream: str, event_id: str, channel: str) -> str:
    """Return the UUIDv5 of all retries and replays of this notification."""
    return _uuid(f"{stream}\x1f{event_id}\x1f{channel}")


def event_key(stream: str, event_id: str) -> str:
    """Return the UUIDv5 that all notifications of an event share.

    It is the id of none of them.
    """
    return _uuid(f"{stream}\x1f{event_id}")


def _uuid(text: str) -> str:
    # As uuid.uuid5, which makes and checks an object on the way to this text.
    digits = hashlib.sha1(_NAMESPACE + text.encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digits[16]]
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
    )


_VARIANTS = {f"{digit:x}": f"{digit & 0x3 | 0x8:x}" for digit in range(16)}


encode = to_json
"""Write a notification as one JSON text."""

decode = reader(Notification)
"""Read what `encode` wrote; raises ValueError on anything else."""
