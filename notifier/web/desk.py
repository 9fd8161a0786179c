"""The desk where actions come in, from pages and callbacks alike: the first one wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from notifier.actions import WORK, Action, request_fields
from notifier.errors import StoreError
from notifier.store.actions import NotificationFacts

log = structlog.get_logger(__name__)


class FactStore(Protocol):
    """What the desk needs of Postgres."""

    async def facts(self, notification_id: str) -> NotificationFacts | None:
        """Return what is recorded, None when nothing is (yet); raises StoreError when Postgres is away."""


class ActionStreams(Protocol):
    """What the desk needs of Redis; each raises StreamError when it is away."""

    async def take(self, action: Action, request: Mapping[str, str] | None) -> Action | None:
        """Take a notification, all or nothing; returns the action that was first, None when it is this one."""

    async def taken(self, notification_id: str) -> Action | None:
        """Return who took a notification."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Who took a notification, with which action, and when."""

    who: str
    action: str
    at: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known about a notification."""

    facts: NotificationFacts | None
    facts_away: bool
    """Postgres did not answer: whether the notification is recorded is unknown."""
    taken: Taken | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The action took the notification, now or when the same person asked before."""

    taken: Taken


@dataclass(frozen=True, slots=True)
class AlreadyTaken:
    """Somebody was first."""

    taken: Taken


@dataclass(frozen=True, slots=True)
class NotNow:
    """The request needs facts that cannot be read now; nothing was changed."""


Result = Recorded | AlreadyTaken | NotNow


class ActionDesk:
    """Redis decides who was first; Postgres is asked for what it knows, and may be away."""

    def __init__(self, store: FactStore, streams: ActionStreams) -> None:
        self._store = store
        self._streams = streams

    async def situation(self, notification_id: str) -> Situation:
        """Return what is known. Raises StreamError."""
        first = await self._streams.taken(notification_id)
        facts, away = None, False
        try:
            facts = await self._store.facts(notification_id)
        except StoreError as exc:
            away = True
            log.warning("facts_away", reason=str(exc))
        if first is not None:
            return Situation(facts, away, _taken(first))
        return Situation(facts, away, _recorded(facts))

    async def act(self, action: Action, situation: Situation) -> Result:
        """Do an action, once. Raises StreamError; asking again is safe then."""
        if situation.taken is not None:
            return _second(action, situation.taken)
        request = None
        if action.action in WORK:
            facts = situation.facts
            if facts is None:
                # A worker could not tell what the request is about.
                return NotNow()
            request = request_fields(
                action,
                event_id=facts.event_id,
                event_type=facts.event_type,
                correlation_id=facts.correlation_id,
                channel=facts.channel,
                subject=facts.subject,
            )
        first = await self._streams.take(action, request)
        if first is not None:
            return _second(action, _taken(first))
        log.info(
            "action_accepted",
            action=action.action,
            via=action.via.value,
            notification_id=action.notification_id,
        )
        return Recorded(_taken(action))


def _second(action: Action, taken: Taken) -> Result:
    if (taken.who, taken.action) == (action.who, action.action):
        return Recorded(taken)
    return AlreadyTaken(taken)


def _taken(action: Action) -> Taken:
    return Taken(action.who, action.action, action.at.isoformat())


def _recorded(facts: NotificationFacts | None) -> Taken | None:
    if facts is None or facts.acknowledged_at is None:
        return None
    return Taken(
        facts.acknowledged_by or "—",
        facts.action_taken or "acknowledge",
        facts.acknowledged_at.isoformat(),
    )
