"""Digests: in a burst one card shows many notifications of a type."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from msgspec.structs import replace
from pydantic import JsonValue

from notifier.events.notification import Notification

DIGEST_CARD = "digest"
SHOWN = 5
"""Notifications that a digest card shows with a link; the others it counts."""

_NAMESPACE = uuid.UUID("0c9a4a0e-1f4f-5b8e-9d34-6a1f0f5b9b52")
_TITLES = ("claim_id", "task_id", "task_name", "batch_id", "service", "alert_name", "host")

Item = TypeVar("Item")


def gather(items: Sequence[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Return the items in groups by key, in the order of their first items."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def kind_of(notification: Notification) -> Hashable:
    """Return the key that notifications of one digest have in common.

    It is their event type, priority and language.
    """
    return (notification.event_type, notification.priority, notification.lang)


def digest_of(
    notifications: Sequence[Notification], link: Callable[[Notification], str | None]
) -> Notification:
    """Return the notification that is posted in place of these.

    The same notifications always give the same id.
    """
    first = notifications[0]
    times = sorted(notification.event_time for notification in notifications)
    shown = notifications[:SHOWN]
    data: dict[str, JsonValue] = {
        "count": len(notifications),
        "more": len(notifications) - len(shown),
        "first_time": times[0],
        "last_time": times[-1],
        "items": [
            {
                "title": _title(notification),
                "time": notification.event_time,
                "correlation_id": notification.correlation_id,
                "url": link(notification),
            }
            for notification in shown
        ],
    }
    # The card continues a trace that all belong to.
    one_trace = len({(each.traceparent or "")[3:35] for each in notifications}) == 1
    identity = "\x1f".join(notification.id for notification in notifications)
    digest_id = str(uuid.uuid5(_NAMESPACE, identity))
    return replace(
        first,
        id=digest_id,
        correlation_id=digest_id,
        event_id=digest_id,
        card=DIGEST_CARD,
        data=data,
        traceparent=first.traceparent if one_trace else None,
        tracestate=first.tracestate if one_trace else None,
    )


def _title(notification: Notification) -> str:
    values = (notification.data.get(name) for name in _TITLES)
    titles = (str(value) for value in values if isinstance(value, str | int) and value != "")
    return next(titles, notification.correlation_id)
