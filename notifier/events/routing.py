"""Turn an Event into one Notification per channel, by the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from notifier.errors import NotifierError
from notifier.events.entry import Event, Priority
from notifier.events.notification import Notification, notification_id

_TO_SECONDS = len("2026-01-31T10:15:00")


class Route(Protocol):
    """Where events of a type go, unless they say so themselves."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names of the event type."""

    @property
    def stakeholders(self) -> tuple[str, ...]:
        """Channels that see it."""

    @property
    def priority(self) -> Priority:
        """How urgent it is."""

    @property
    def card(self) -> str:
        """The template of its card."""


class UnroutableError(NotifierError):
    """No route matches and the event names no stakeholders."""


class Routed(NamedTuple):
    """The channels of an event, and stakeholders that are not channels."""

    notifications: tuple[Notification, ...]
    unknown_channels: tuple[str, ...]


class Catalogue:
    """The routes of the configuration, ready for look-up."""

    def __init__(self, routes: Mapping[str, Route], channels: Iterable[str]) -> None:
        self.channels = frozenset(channels)
        self._exact: dict[str, tuple[str, Route]] = {}
        patterns: list[tuple[str, Route]] = []
        for event_type, route in routes.items():
            for name in (event_type, *route.aliases):
                if any(sign in name for sign in "*?["):
                    patterns.append((name, route))
                else:
                    self._exact[name] = (event_type, route)
        self._sorted_out = lru_cache(maxsize=1024)(self._sort_out)
        self._patterns = sorted(patterns, key=lambda item: len(item[0]), reverse=True)

    def find(self, event_type: str) -> tuple[str, Route | None]:
        """Return the canonical event type and its route.

        An alias has its owner's name.
        """
        known = self._exact.get(event_type)
        if known is not None:
            return known
        for pattern, route in self._patterns:
            if fnmatchcase(event_type, pattern):
                return event_type, route
        return event_type, None

    def route(self, event: Event, data: dict[str, JsonValue]) -> Routed:
        """Make one notification per channel, with `data` (already masked) to show.

        Raises:
            UnroutableError: The type has no route and the event has no stakeholders.
        """
        event_type, route = self.find(event.type)
        wanted = event.stakeholders or (route.stakeholders if route else ())
        if not wanted:
            raise UnroutableError(
                f"type: {event_type} has no route and the event names no stakeholders; "
                "add a route to config.toml or send the field stakeholders"
            )
        known, unknown = self._sorted_out(wanted)
        priority = event.priority or (route.priority if route else Priority.INFO)
        time = f"{event.time.isoformat()[:_TO_SECONDS]}Z"
        notifications = tuple(
            Notification(
                id=notification_id(event.stream, event.id, channel),
                channel=channel,
                stakeholders=known,
                priority=priority,
                card=route.card if route else "generic",
                stream=event.stream,
                entry_id=event.entry_id,
                event_id=event.id,
                event_type=event_type,
                correlation_id=event.correlation_id,
                event_time=time,
                lang=event.lang,
                source=event.source,
                traceparent=event.traceparent,
                tracestate=event.tracestate,
                of_event=event.of_event,
                data=data,
            )
            for channel in known
        )
        return Routed(notifications, unknown)

    def _sort_out(self, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return which stakeholders are channels and which are not, each once."""
        names = dict.fromkeys(name.lower() for name in wanted)
        return (
            tuple(name for name in names if name in self.channels),
            tuple(name for name in names if name not in self.channels),
        )
