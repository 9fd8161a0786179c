"""The shape of a dead letter: why, where and with the whole event."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from notifier.notifications import Notification, encode


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
"""Stage of a dead letter that holds an outcome: what it tells of is over, only the record is missing."""


def of_notification(
    notification: Notification,
    reason: Reason,
    detail: str,
    *,
    status: int | None,
    attempts: int,
    source: tuple[str, str],
    at: datetime,
) -> dict[str, str | bytes]:
    """Make the dead letter of a notification; its event is masked already."""
    return {
        "reason": reason.value,
        "detail": detail,
        "stage": "delivery",
        "channel": notification.channel,
        "event_type": notification.event_type,
        "event_id": notification.event_id,
        "correlation_id": notification.correlation_id,
        "notification_id": notification.id,
        "priority": notification.priority.value,
        "last_status": "" if status is None else str(status),
        "attempts": str(attempts),
        "attempts_before": str(notification.tried_before),
        "history": json.dumps(notification.endings, ensure_ascii=False),
        "dead_at": at.isoformat(timespec="milliseconds"),
        "source_stream": source[0],
        "source_id": source[1],
        "event": encode(notification),
    }


def of_entry(
    stage: str,
    reason: Reason,
    detail: str,
    *,
    event: str | bytes,
    source: tuple[str, str],
    at: datetime,
    known: Mapping[str, str] | None = None,
) -> dict[str, str | bytes]:
    """Make the dead letter of an entry that never became a notification."""
    known = known or {}
    return {
        "reason": reason.value,
        "detail": detail,
        "stage": stage,
        **{
            name: known.get(name, "")
            for name in (
                "channel",
                "event_type",
                "event_id",
                "correlation_id",
                "notification_id",
                "priority",
            )
        },
        "last_status": "",
        "attempts": "0",
        "dead_at": at.isoformat(timespec="milliseconds"),
        "source_stream": source[0],
        "source_id": source[1],
        "event": event,
    }


def raw_fields(fields: Mapping[bytes, bytes]) -> str:
    """Write an entry's own fields as JSON, losing nothing: what is not UTF-8 becomes {"base64": …}."""
    written: dict[str, JsonValue] = {}
    for key, value in fields.items():
        name = key.decode(errors="backslashreplace")
        try:
            written[name] = value.decode()
        except UnicodeDecodeError:
            written[name] = {"base64": base64.b64encode(value).decode()}
    return json.dumps({"fields": written}, ensure_ascii=False, separators=(",", ":"))
