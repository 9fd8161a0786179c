"""A notification: one event for one channel, as it waits in a lane."""

from __future__ import annotations

import hashlib
import uuid
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypedDict

from pydantic import JsonValue

from notifier.events.entry import Priority
from notifier.events.json_out import from_marked_json, to_marked_json

_NAMESPACE = uuid.UUID("5a0f8f0e-6a4b-5c53-9d0e-1f6c2b1f7c11").bytes


class Ending(TypedDict):
    """How a notification ended as a dead letter, before it was replayed."""

    dead_at: str
    reason: str
    detail: str


class Notification(NamedTuple):
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
    data: dict[str, JsonValue]
    tried_before: int = 0
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
    """Return the UUIDv5 that every retry and replay of this notification shares (RFC 9562)."""
    return _uuid(f"{stream}\x1f{event_id}\x1f{channel}")


def event_key(stream: str, event_id: str) -> str:
    """Return the UUIDv5 that all notifications of an event have in common; it is the id of none."""
    return _uuid(f"{stream}\x1f{event_id}")


def _uuid(text: str) -> str:
    # As uuid.uuid5, which makes and checks an object on the way to this text.
    digits = hashlib.sha1(_NAMESPACE + text.encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digits[16]]
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
    )


_VARIANTS = {f"{digit:x}": f"{digit & 0x3 | 0x8:x}" for digit in range(16)}
_DEFAULTS = Notification._field_defaults
_values_of = itemgetter(*Notification._fields)
_PRIORITIES = {priority.value: priority for priority in Priority}
_TEXT, _TEXT_OR_NONE = frozenset({str}), frozenset({str, type(None)})
_KINDS = tuple(
    {
        "stakeholders": frozenset({tuple}),
        "priority": frozenset({Priority}),
        "source": _TEXT_OR_NONE,
        "traceparent": _TEXT_OR_NONE,
        "data": frozenset({dict}),
        "tried_before": frozenset({int}),
        "endings": frozenset({tuple}),
        "tracestate": _TEXT_OR_NONE,
        "of_event": _TEXT_OR_NONE,
    }.get(name, _TEXT)
    for name in Notification._fields
)
"""What each field may be, in their order."""
_MOST_TRIES = 2**31
"""What Postgres' integer holds."""
_ENDING = frozenset(Ending.__required_keys__)


def encode(notification: Notification) -> bytes:
    """Write the notification as one JSON text."""
    record = notification._asdict()
    if notification.tracestate is None:
        del record["tracestate"]
    if notification.of_event is None:
        del record["of_event"]
    return to_marked_json(record)


def decode(text: bytes) -> Notification:
    """Read what encode wrote; raises ValueError, KeyError or TypeError on anything else."""
    record = from_marked_json(text)
    record["priority"] = _PRIORITIES[record["priority"]]
    record["stakeholders"] = _tuple_of(record["stakeholders"])
    record["endings"] = _tuple_of(record.get("endings", []))
    # What else there is a process of a later version has written; while versions are changed, both are at work.
    found = Notification._make(_values_of({**_DEFAULTS, **record}))
    if not (
        _are_right(tuple(map(type, found)))
        and 0 <= found.tried_before < _MOST_TRIES
        and set(map(type, found.stakeholders)) <= _TEXT
        and all(type(ending) is dict and ending.keys() >= _ENDING for ending in found.endings)
    ):
        raise TypeError("a field has the wrong type")
    return found


@lru_cache(maxsize=64)
def _are_right(kinds: tuple[type, ...]) -> bool:
    """Tell whether fields may be of these types; few combinations of them occur."""
    return all(kind in right for kind, right in zip(kinds, _KINDS, strict=True))


def _tuple_of(value: object) -> tuple[object, ...]:
    if type(value) is not list:
        raise TypeError("a field is not a list")
    return tuple(value)
