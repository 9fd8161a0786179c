"""Make the events that notifier publishes: escalations, acknowledgements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from notifier.escalation.policy import (
    ACKNOWLEDGED_TYPE,
    ESCALATION_TYPE,
    Step,
    escalation_event_id,
)
from notifier.escalation.rows import EventNotification, PendingAction, RecordedEvent
from notifier.events.action import ESCALATE
from notifier.events.entry import EVENT_KEY_MEMBER
from notifier.events.notification import event_key

SOURCE = "notifier"


def escalation_event(
    event: RecordedEvent,
    step: Step,
    *,
    notification_id: str,
    by: str | None,
    informed: Sequence[str],
) -> dict[str, str]:
    """Return the entry that escalates an event to the step's channel.

    Args:
        event: An event with at least one notification.
        step: The step, with its time.
        notification_id: Notification to name on the card; empty if it was escalated by hand.
        by: The person who escalated by hand.
        informed: Titles of the channels that had a card before.
    """
    first = event.notifications[0]
    data: dict[str, JsonValue] = {
        "event_type": first.event_type,
        "summary": event.summary,
        "since": _text(first.since),
        "waiting_minutes": max(0, int((step.at - first.since).total_seconds() // 60)),
        "told": list(informed),
        "step": step.number,
        "escalated_by": by,
        "answer_id": notification_id,
        EVENT_KEY_MEMBER: event_key(event.stream, event.event_id),
    }
    event_id = escalation_event_id(event.lead_id, step.number)
    entry = _entry(event_id, ESCALATION_TYPE, first, data, [step.channel], step.at)
    return entry | {"priority": first.priority}


def acknowledged_event(
    event: RecordedEvent, pending: PendingAction, *, at: datetime
) -> dict[str, str]:
    """Return the entry that announces an action to all channels of an event.

    It has no note, which may name a patient.
    """
    action, of = pending.action, next(iter(event.notifications), pending)
    data: dict[str, JsonValue] = {
        "event_type": of.event_type,
        "summary": of.summary,
        "action": action.action,
        "taken_by": action.who,
        "taken_at": _text(action.at),
        "original_id": action.notification_id,
    }
    # The same card may be escalated first and acknowledged later.
    what = "escalated" if action.action == ESCALATE else "acknowledged"
    channels = [
        pending.channel,
        *(name for each in event.notifications for name in each.channels),
        *(each.channel for each in event.steps),
    ]
    event_id = f"{what}:{action.notification_id}"
    entry = _entry(event_id, ACKNOWLEDGED_TYPE, pending, data, channels, at)
    return entry | {"lang": of.lang}


def _entry(
    event_id: str,
    event_type: str,
    about: EventNotification | PendingAction,
    data: Mapping[str, JsonValue],
    channels: Sequence[str],
    at: datetime,
) -> dict[str, str]:
    shown = {name: value for name, value in data.items() if value not in (None, "", [])}
    entry = {
        "type": event_type,
        "id": event_id,
        "correlation_id": about.correlation_id,
        "time": _text(at),
        "lang": about.lang,
        "source": SOURCE,
        "stakeholders": ",".join(dict.fromkeys(channels)),
        "data": json.dumps(shown, ensure_ascii=False, separators=(",", ":")),
    }
    return entry | {"traceparent": about.traceparent} if about.traceparent else entry


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
