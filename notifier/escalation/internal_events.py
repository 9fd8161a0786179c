"""Events that notifier itself publishes: nobody answered, or somebody did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from notifier.escalation.policy import ACKNOWLEDGED_TYPE, ESCALATION_TYPE, escalation_event_id
from notifier.events.action import ESCALATE, Action
from notifier.events.entry import EVENT_KEY_MEMBER, Priority

SOURCE = "notifier"


@dataclass(frozen=True, slots=True)
class Subject:
    """The notification that a notice is about."""

    event_type: str
    correlation_id: str
    lang: str
    summary: str | None
    traceparent: str | None
    """Its place in its producer's trace, which the notice continues."""


def escalation_event(
    subject: Subject,
    *,
    lead_id: str,
    answer_id: str,
    event_key: str,
    step: int,
    channel: str,
    by: str | None,
    priority: Priority,
    since: datetime,
    told: Sequence[str],
    at: datetime,
) -> dict[str, str]:
    """Return the entry that tells `channel` of an unanswered event.

    Args:
        subject: The notification that was not answered.
        lead_id: Notification that names the event; with the step it makes the event id.
        answer_id: Notification to name on the card; empty when it was escalated by hand.
        event_key: Key of the event, which the card's link is about.
        step: Number of the step.
        channel: Who is told.
        by: Who escalated by hand.
        priority: Kept from the event.
        since: Since when nobody has answered.
        told: Titles of the channels that had it before.
        at: Now.
    """
    data: dict[str, JsonValue] = {
        "event_type": subject.event_type,
        "summary": subject.summary,
        "since": _text(since),
        "waiting_minutes": max(0, int((at - since).total_seconds() // 60)),
        "told": list(told),
        "step": step,
        "escalated_by": by,
        "answer_id": answer_id,
        EVENT_KEY_MEMBER: event_key,
    }
    return _entry(
        escalation_event_id(lead_id, step), ESCALATION_TYPE, subject, data, [channel], at
    ) | {"priority": priority.value}


def acknowledged_event(
    subject: Subject, action: Action, *, channels: Sequence[str], at: datetime
) -> dict[str, str]:
    """Return the entry that tells channels who took a notification; the note is left out, for it may name a patient."""
    data: dict[str, JsonValue] = {
        "event_type": subject.event_type,
        "summary": subject.summary,
        "action": action.action,
        "taken_by": action.who,
        "taken_at": _text(action.at),
        "original_id": action.notification_id,
    }
    # The same card may be escalated first and acknowledged later.
    what = "escalated" if action.action == ESCALATE else "acknowledged"
    event_id = f"{what}:{action.notification_id}"
    return _entry(event_id, ACKNOWLEDGED_TYPE, subject, data, channels, at)


def _entry(
    event_id: str,
    event_type: str,
    subject: Subject,
    data: Mapping[str, JsonValue],
    channels: Sequence[str],
    at: datetime,
) -> dict[str, str]:
    shown = {name: value for name, value in data.items() if value not in (None, "", [])}
    entry = {
        "type": event_type,
        "id": event_id,
        "correlation_id": subject.correlation_id,
        "time": _text(at),
        "lang": subject.lang,
        "source": SOURCE,
        "stakeholders": ",".join(dict.fromkeys(channels)),
        "data": json.dumps(shown, ensure_ascii=False, separators=(",", ":")),
    }
    return entry | {"traceparent": subject.traceparent} if subject.traceparent else entry


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
