"""An action of a person on a notification, and its request to workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, cast, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

MAX_WHO = 100
MAX_NOTE = 1_000

REQUESTS = "teams:actions"
"""Stream of requests to the claims workers."""
Work = Literal["retry_task", "discard_task", "poll_nphies"]
WORK: frozenset[str] = frozenset(get_args(Work))
"""Actions that the claims workers do; the others are done here."""
ACKNOWLEDGE, ESCALATE = "acknowledge", "escalate"
WORDS = WORK | {ACKNOWLEDGE, ESCALATE}
"""All that a person can do from a card."""

SUBJECT = ("claim_id", "poll_id", "task_id", "task_name", "queue", "batch_no", "service")
"""Members of an event's data that tell a worker what a request is about; none of them identifies a patient."""

_YEARS = (1970, 9998)
"""Whatever time zone a page shows a time in, it stays within the calendar."""
_MAX_SUBJECT_TEXT = 200
_SHORT = frozenset({str, int})


@dataclass(frozen=True, slots=True)
class Matter:
    """The subject of an action: a notification, its event, and its siblings."""

    notification_id: str
    event_key: str | None = None
    others: tuple[str, ...] = ()
    is_escalation: bool = False
    """The notification is one that a further channel got; its event may be escalated once more from it."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the ids of an action in Redis: its notification's, its event's."""
        event = () if self.event_key is None else (self.event_key,)
        return tuple(dict.fromkeys((self.notification_id, *event, *self.others)))


class Via(StrEnum):
    """How an action came in, and so how far its name can be trusted."""

    PAGE = "page"
    """The name was typed."""
    SIGN_ON = "sign_on"
    """The name comes from the single-sign-on proxy."""
    CALLBACK = "callback"
    OUTGOING_WEBHOOK = "outgoing_webhook"


@dataclass(frozen=True, slots=True)
class Action:
    """An action of one person on a notification.

    The first action on any card of an event settles it; escalating settles nothing.
    """

    notification_id: str
    action: str
    who: str
    note: str
    via: str
    """A Via, or what a later version has added to it."""
    at: datetime
    channel: str = ""
    """Where the card was; empty while Postgres could not be asked."""

    def fields(self) -> dict[str, str]:
        """Write it as the fields of a stream entry or hash."""
        texts = {name: str(value) for name, value in asdict(self).items()}
        return texts | {"at": self.at.isoformat(timespec="milliseconds")}


class WorkRequest(BaseModel):
    """One request to the claims workers, an entry of `teams:actions`.

    All fields are text and always present.
    """

    model_config = ConfigDict(frozen=True, title="WorkRequest", use_attribute_docstrings=True)

    id: str
    """`<key of the event>:<action>`, the same whichever card of the event it was; do a request with the same id once."""
    action: Work
    """The requested work."""
    notification_id: str
    """The notification whose card it was."""
    event_id: str
    """Of the producer's event."""
    event_type: str
    """The type, as its route names it."""
    correlation_id: str
    """Of the producer's event."""
    channel: str
    """Where the card was."""
    subject: str = Field(json_schema_extra={"contentMediaType": "application/json"})
    """JSON object: what the event's data said of claim_id, poll_id, task_id, task_name, queue, batch_no and service, as text."""
    requested_by: str = Field(max_length=MAX_WHO)
    """Name of the person who asked."""
    via: Via
    """How far to trust that name: sign_on from single sign-on, page typed, callback from a flow, outgoing_webhook from Teams."""
    note: str = Field(max_length=MAX_NOTE)
    """Text that the person wrote, or empty."""
    requested_at: str = Field(json_schema_extra={"format": "date-time"})
    """RFC 3339, UTC."""


def read_action(fields: Mapping[bytes, bytes]) -> Action:
    """Read the fields that Action.fields wrote, also in a later version.

    Raises:
        ValueError, KeyError: The fields are not an action.
    """
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return Action(
        text["notification_id"],
        text["action"],
        text["who"],
        text["note"],
        text["via"],
        _moment(text["at"]),
        text.get("channel", ""),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ValueError("is in no year in which somebody acts")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_recordable(action: Action) -> bool:
    """Return whether Postgres accepts the text; a refusal delays all others."""
    try:
        UUID(action.notification_id)
    except ValueError:
        return False
    return "\x00" not in action.action + action.who + action.note + action.via


def clean_line(text: str, limit: int) -> str:
    """Return text as one line without control characters, cut to `limit`."""
    return " ".join(_printable(text).split())[:limit].strip()


def clean_note(text: str) -> str:
    """Return a note with its lines kept and without other control characters."""
    lines = _printable(text.replace("\r\n", "\n").replace("\r", "\n"), keep="\n")
    return lines.strip()[:MAX_NOTE].strip()


def subject_of(data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what an event is about; `data` is masked already."""
    return {
        name: str(data[name])[:_MAX_SUBJECT_TEXT]
        for name in SUBJECT
        if name in data and type(data[name]) in _SHORT and data[name] != ""
    }


def request_fields(
    action: Action,
    *,
    event_key: str,
    event_id: str,
    event_type: str,
    correlation_id: str,
    channel: str,
    subject: Mapping[str, JsonValue],
) -> dict[str, str]:
    """Return the entry of `teams:actions`; see docs/reference/events.md."""
    request = WorkRequest(
        id=f"{event_key}:{action.action}",
        action=cast("Work", action.action),
        notification_id=action.notification_id,
        event_id=event_id,
        event_type=event_type,
        correlation_id=correlation_id,
        channel=channel,
        subject=json.dumps(dict(subject), ensure_ascii=False, separators=(",", ":")),
        requested_by=action.who,
        via=Via(action.via),
        note=action.note,
        requested_at=action.at.isoformat(timespec="seconds"),
    )
    return request.model_dump(mode="json")


def _printable(text: str, keep: str = "") -> str:
    """Remove lone surrogates, NUL, and bidi controls.

    They would break UTF-8, Postgres, and what a reader sees.
    """
    return "".join(
        character
        if character in keep or character.isprintable()
        else " "
        if character.isspace()
        else ""
        for character in text
    )
