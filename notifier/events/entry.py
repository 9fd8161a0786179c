"""The contract with producers: a stream entry becomes an Event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec.structs import replace
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from notifier.errors import EventError
from notifier.events.json import MAX_VALUES, json_object
from notifier.events.times import ahead_of, entry_time
from notifier.events.trace_context import (
    TRACEPARENT_PATTERN,
    clean_tracestate,
    parse_traceparent,
)

_Word = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
_DATE = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")
"""Any offset can be added to it."""
_MOST_STAKEHOLDERS = 50
_Channel = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Priority(StrEnum):
    """How urgent a notification is; CRITICAL and HIGH take the urgent lane."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"

    @property
    def urgent(self) -> bool:
        """Tell whether notifications of this priority go before all others."""
        # As texts: a member of an enumeration takes longer to look up than to compare.
        return self in ("CRITICAL", "HIGH")


class EventEntry(BaseModel):
    """One event as a producer writes it; only `type` is required."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Event", strict=False)

    type: Annotated[
        str,
        StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"),
        Field(
            description="What happened, such as nphies.claim.rejected.",
            examples=["nphies.claim.rejected"],
        ),
    ]
    id: _Word | None = Field(
        default=None,
        description="Identity given by the producer. A second event with the same id within a day is dropped as a duplicate. Default: the id of the stream entry.",
    )
    correlation_id: _Word | None = Field(
        default=None,
        description="Ties the card, the log and the table to the producer's request. Default: the event id.",
    )
    time: AwareDatetime | None = Field(
        default=None,
        description="When it happened, RFC 3339 with offset. Default: when it was added to the stream.",
    )
    priority: Priority | None = Field(
        default=None,
        description="CRITICAL, HIGH, MEDIUM, LOW or INFO in any case. Default: the route's.",
    )
    stakeholders: tuple[_Channel, ...] | None = Field(
        default=None,
        max_length=_MOST_STAKEHOLDERS,
        description="Channels to notify: a comma list in a stream field, an array in JSON. Default: the route's.",
    )
    lang: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None
    ) = Field(
        default=None, description="Language of the card: en or ar; others fall back to en."
    )
    source: _Word | None = Field(default=None, description="Who published it, for people.")
    traceparent: (
        Annotated[str, WithJsonSchema({"type": "string", "pattern": TRACEPARENT_PATTERN})]
        | None
    ) = Field(
        default=None,
        description="Place in the producer's trace (W3C Trace Context). One that is not valid is ignored.",
        examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    )
    tracestate: str | None = Field(
        default=None,
        description="Goes with traceparent (W3C Trace Context). Ignored if it is invalid or comes without traceparent.",
        examples=["congo=t61rcWkgMzE"],
    )
    data: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Data for the card: a JSON object, as text in a stream field.",
    )

    @field_validator("priority", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("time", mode="before")
    @classmethod
    def _written_as_date(cls, value: object) -> object:
        # Pydantic takes a bare number for seconds or milliseconds since 1970.
        if value is None or (isinstance(value, str) and _DATE.match(value)):
            return value
        raise ValueError

    @field_validator("stakeholders", mode="before")
    @classmethod
    def _comma_list(cls, value: object) -> object:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()] or None
        # One more than allowed is enough to be refused: each name that is wrong makes an error of its own.
        return value[: _MOST_STAKEHOLDERS + 1] if isinstance(value, list) else value

    @field_validator("traceparent", mode="before")
    @classmethod
    def _valid_traceparent(cls, value: object) -> object:
        # The specification says to ignore it: a faulty tracer must not cost an alert.
        context = parse_traceparent(value) if isinstance(value, str) else None
        return None if context is None else context.traceparent

    @field_validator("tracestate", mode="before")
    @classmethod
    def _valid_tracestate(cls, value: object) -> object:
        return clean_tracestate(value) if isinstance(value, str) else None


SIGNATURE_FIELD = "signature"
"""Field of an entry that names its signer; it is not part of the event."""

EVENT_KEY_MEMBER = "event_key"
"""Member of an escalation's data: the key of the event that it escalates."""

_SIGNATURE_KEY = SIGNATURE_FIELD.encode()

ENVELOPE = frozenset(EventEntry.model_fields)
"""Field names with a meaning of their own; any other field is a member of data."""

_CLOUDEVENT_NAMES = {
    "correlationid": "correlation_id",
    "subject": None,
    "datacontenttype": None,
    "dataschema": None,
}


class Event(msgspec.Struct, frozen=True):
    """An accepted event; identity and time are always known."""

    stream: str
    entry_id: str
    id: str
    type: str
    correlation_id: str
    time: datetime
    data: dict[str, JsonValue]
    priority: Priority | None = None
    stakeholders: tuple[str, ...] | None = None
    lang: str = "en"
    source: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    trace_ignored: bool = False
    """The entry named a place in a trace that is not valid."""
    of_event: str | None = None
    """Key of the event that this one escalates; of notifier's own events alone."""


def parse_entry(
    stream: str, entry_id: str, fields: Mapping[bytes, bytes], *, max_bytes: int
) -> Event:
    """Turn the flat fields of one stream entry into an Event.

    Raises:
        EventError: Names the field at fault and the fix, never its value: events hold patient data.
    """
    size = size_bytes(fields)
    if size > max_bytes or len(fields) > MAX_VALUES:
        raise too_large(size, max_bytes)
    texts = _decode(fields)
    members = _from_event_field(texts) if "event" in texts else _from_flat_fields(texts)
    return to_event(stream, entry_id, members)


def size_bytes(fields: Mapping[bytes, bytes]) -> int:
    """Return the bytes of an entry's names and values."""
    return sum(map(len, fields)) + sum(map(len, fields.values()))


def too_large(size: int, max_bytes: int) -> EventError:
    """Return the error of an entry with too many bytes or fields."""
    if size <= max_bytes:
        return EventError("entry", f"has more than {MAX_VALUES} fields; send fewer, or a link")
    return EventError(
        "entry",
        f"has {size} bytes, the limit is {max_bytes}; send a link instead of the content",
    )


def to_event(stream: str, entry_id: str, members: Mapping[str, JsonValue]) -> Event:
    """Validate the members of one event and add those that its entry gives.

    Raises:
        EventError: As parse_entry.
    """
    if not members.get("type"):
        raise EventError(
            "type", "is missing; add the event type, such as nphies.claim.rejected"
        )
    try:
        # An object that came out of JSON holds nothing else, and numbers stay as they were sent.
        data = members.get("data")
        checked = {**members, "data": {}} if isinstance(data, dict) else members
        entry = EventEntry.model_validate(checked)
    except ValidationError as exc:
        error = exc.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in error["loc"]) or "event"
        fault = _FAULTS.get(field.partition(".")[0], "is not valid")
        if error["type"] == "extra_forbidden":
            fault = "is not a member of an event; put it into data"
        raise EventError(field, fault) from None
    event_id = entry.id or entry_id
    lang = entry.lang.partition("-")[0].lower() if entry.lang else "en"
    try:
        time = (entry.time or entry_time(entry_id)).astimezone(UTC)
    except OverflowError:
        raise EventError("time", "is in no year from 1 to 9999 in UTC") from None
    return Event(
        stream=stream,
        entry_id=entry_id,
        id=event_id,
        type=entry.type,
        correlation_id=entry.correlation_id or event_id,
        time=time,
        data=data if isinstance(data, dict) else entry.data,
        priority=entry.priority,
        stakeholders=entry.stakeholders,
        lang=lang,
        source=entry.source,
        traceparent=entry.traceparent,
        tracestate=entry.tracestate if entry.traceparent else None,
        trace_ignored=entry.traceparent is None and bool(members.get("traceparent")),
    )


def with_believed_time(event: Event, now: datetime) -> Event:
    """Return an event with `now` as its time if its entry's id is ahead.

    An event with a time of its own keeps it.

    Whoever adds an entry may choose its id, and later ones then get its time.
    """
    ahead = ahead_of(event.time, now) and event.time == entry_time(event.entry_id)
    return replace(event, time=now) if ahead else event


def _decode(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    try:
        return {
            key.decode(): value.decode()
            for key, value in fields.items()
            if key != _SIGNATURE_KEY
        }
    except UnicodeDecodeError:
        return _decode_each(fields)


def _decode_each(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode as _decode does, and say which one is at fault."""
    texts: dict[str, str] = {}
    for number, (key, value) in enumerate(fields.items(), start=1):
        if key == _SIGNATURE_KEY:
            continue
        try:
            name = key.decode()
        except UnicodeDecodeError:
            raise EventError(
                f"field {number}", "has a name that is not UTF-8; encode it as UTF-8"
            ) from None
        try:
            texts[name] = value.decode()
        except UnicodeDecodeError:
            raise EventError(
                _shown(name), "is not UTF-8 text; encode it as UTF-8 (binary as base64)"
            ) from None
    return texts


def _from_flat_fields(texts: dict[str, str]) -> dict[str, JsonValue]:
    members: dict[str, JsonValue] = {}
    data: dict[str, JsonValue] = {}
    for name, text in texts.items():
        if name == "data":
            continue
        if name not in ENVELOPE:
            data[name] = text
        elif text:
            members[name] = text
    if texts.get("data"):
        # The JSON object wins over a flat field of the same name: it is the more deliberate of the two.
        data.update(json_object("data", texts["data"], most_values=MAX_VALUES - len(texts)))
    members["data"] = data
    return members


def _from_event_field(texts: dict[str, str]) -> dict[str, JsonValue]:
    members = json_object("event", texts["event"])
    if "specversion" in members:
        members = _from_cloudevent(members)
    for name, text in texts.items():
        if name == "event" or not text:
            continue
        if name not in ENVELOPE or name == "data":
            raise EventError(
                _shown(name), "cannot be beside the field event; put it into the event's data"
            )
        members.setdefault(name, text)
    extra = [name for name in members if name not in ENVELOPE]
    if extra:
        raise EventError(
            f"event.{_shown(extra[0])}",
            f"is unknown; put it into data. Known fields: {', '.join(sorted(ENVELOPE))}",
        )
    return members


def _from_cloudevent(event: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Map the members of CloudEvents 1.0 JSON (cloudevents.io) to ours."""
    if event.get("specversion") != "1.0":
        raise EventError("event.specversion", 'is not supported; use CloudEvents "1.0"')
    if "data_base64" in event:
        raise EventError("event.data_base64", "is not supported; send data as a JSON object")
    members: dict[str, JsonValue] = {}
    for name, value in event.items():
        if name == "specversion":
            continue
        known = _CLOUDEVENT_NAMES.get(name, name)
        # Extension attributes that mean nothing here are legal in CloudEvents and are left out.
        if known in ENVELOPE:
            members[known] = value
    data = members.get("data")
    members["data"] = {} if data is None else data
    return members


_FAULTS = {
    "type": "must be letters, digits, dots, dashes and underscores, at most 128, such as nphies.claim.rejected",
    "priority": f"must be one of {', '.join(Priority)}",
    "time": "must be RFC 3339 with an offset, such as 2026-01-31T10:15:00Z, and not a number",
    "stakeholders": "must be a list of channel names, such as sre,devops",
    "lang": "must be a language tag such as en or ar",
    "data": "must be a JSON object",
    **dict.fromkeys(
        ("id", "correlation_id", "source"),
        "must be text of 1 to 200 characters without control characters",
    ),
}


def _shown(name: str) -> str:
    """Return a field name that is safe to show in an error text."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) else ascii(name[:32])
