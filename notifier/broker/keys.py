"""Every Redis key, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one event stream, in its cluster slot by their hash tag."""

    stream: str

    def lane(self, channel: str, *, urgent: bool) -> str:
        """Stream of notifications that wait for a channel."""
        return f"{{{self.stream}}}:lane:{channel}:{'urgent' if urgent else 'normal'}"

    @property
    def outcomes(self) -> str:
        """Stream of outcomes that wait for Postgres."""
        return f"{{{self.stream}}}:outcomes"

    @property
    def dead(self) -> str:
        """Stream of dead letters, without a consumer group."""
        return f"{{{self.stream}}}:dead"

    @property
    def channels(self) -> str:
        """Hash of every channel that ever had lanes here, removed ones too."""
        return f"{{{self.stream}}}:channels"

    @property
    def failing(self) -> str:
        """Hash of failing channels with their errors; empty after recovery."""
        return f"{{{self.stream}}}:failing"

    @property
    def never(self) -> str:
        """A stream that never exists, to ask whether Redis has room."""
        return f"{{{self.stream}}}:never"

    def seen(self, event_id: str) -> str:
        """Mark of an event id that was accepted; expires after the event TTL."""
        return f"{{{self.stream}}}:seen:{event_id}"


def floor(stream: str, group: str) -> str:
    """Return the key of a group's progress in a stream that keeps entries.

    It outlives the group.
    """
    return f"{_tagged(stream)}:floor:{group}"


def _tagged(stream: str) -> str:
    return stream if stream.startswith("{") else f"{{{stream}}}"


_FIRST_GROUP = "notifier"


def of_group(key: str, group: str) -> str:
    """Return a group's own key; that of the default group has no suffix.

    Earlier versions used it for all groups.
    """
    return key if group == _FIRST_GROUP else f"{key}:{group}"


def rate(channel: str, group: str) -> str:
    """Hash of a channel's rate limit, shared by all processes of a group."""
    return of_group(f"teams:rate:{channel}", group)


def pause(channel: str, group: str) -> str:
    """Mark that exists while a channel asked a group to wait (Retry-After)."""
    return of_group(f"teams:pause:{channel}", group)


ACCEPTED = "{teams:actions}:accepted"
"""Stream of accepted actions that wait for Postgres; like all keys here it shares the cluster slot of the requests by its hash tag.

This one is the default group's. Versions before this one used it for all groups.
"""

UNREADABLE = "{teams:actions}:unreadable"
"""Stream of the default group's accepted actions that this version cannot read; one that can puts them back."""


def accepted_stream(group: str) -> str:
    """Return the stream of a group's accepted actions."""
    return of_group(ACCEPTED, group)


def unreadable_stream(group: str) -> str:
    """Return the stream of a group's actions that this version cannot read."""
    return of_group(UNREADABLE, group)


def action_key(notification_id: str) -> str:
    """Hash of the action that settled a notification, or an event by its key.

    Until one settles it, the hash may hold an escalation.

    These ids are made of the event stream's name, so no two groups share one.
    """
    return f"{{teams:actions}}:taken:{notification_id}"


def callback_key(digest: str) -> str:
    """Mark of a callback's body that was seen."""
    return f"{{teams:actions}}:callback:{digest}"
