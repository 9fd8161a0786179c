"""Accept actions from pages and callbacks: the first on an event wins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from notifier.errors import StoreError
from notifier.escalation.actions import Actions
from notifier.escalation.repository import FactsRepository
from notifier.escalation.rows import NotificationFacts
from notifier.events.action import ACKNOWLEDGE, ESCALATE, WORK, Action, Matter, request_fields
from notifier.events.notification import event_key

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FirstAction:
    """The first action that settled or escalated an event."""

    who: str
    action: str
    at: str
    """RFC 3339."""
    channel: str = ""
    """The channel of its card; empty: unknown while Postgres is away."""
    to: str = ""
    """The channel that it was escalated to."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The known facts and actions of a notification."""

    facts: NotificationFacts | None
    facts_away: bool
    """Postgres did not answer: whether the notification is recorded is unknown."""
    first: FirstAction | None
    """The action that settled the event."""
    matter: Matter
    escalated: FirstAction | None = None
    """The escalation by hand, whether or not the event was settled since."""

    @property
    def escalated_before(self) -> FirstAction | None:
        """Return the escalation by hand, unless this card may escalate again."""
        return None if self.matter.is_escalation else self.escalated


@dataclass(frozen=True, slots=True)
class Accepted:
    """The action settled or escalated the event, now or in an earlier request."""

    first: FirstAction


@dataclass(frozen=True, slots=True)
class AlreadyActed:
    """Another action was first."""

    first: FirstAction


@dataclass(frozen=True, slots=True)
class NotNow:
    """The request needs facts that Postgres cannot give now; nothing changed."""


Result = Accepted | AlreadyActed | NotNow


class ActionService:
    """Redis decides which action is first; Postgres adds facts, if it answers."""

    def __init__(self, facts: FactsRepository, actions: Actions) -> None:
        self._facts = facts
        self._actions = actions

    async def situation(self, notification_id: str, event_key: str | None = None) -> Situation:
        """Return what is known about a notification.

        Args:
            notification_id: The notification.
            event_key: Key of its event by the link, for when Postgres is away.

        Raises:
            StreamError: Redis is away.
        """
        facts, away = None, False
        try:
            facts = await self._facts.facts(notification_id)
        except StoreError as exc:
            away = True
            log.warning("facts_away", reason=str(exc))
        matter = Matter(notification_id, event_key) if facts is None else facts.matter
        known = (await self._actions.actions_on(matter.keys)).values()
        settled = [each for each in known if each.action != ESCALATE]
        passed_on = [each for each in known if each.action == ESCALATE]
        first, escalated = _recorded(facts), _escalated(facts)
        if settled:
            earliest = min(settled, key=lambda each: each.at)
            first = _first(earliest, channel=first.channel if first else "")
        if passed_on:
            escalated = _first(passed_on[0], to=escalated.to if escalated else "")
        return Situation(facts, away, first, matter, escalated)

    async def act(self, action: Action, situation: Situation) -> Result:
        """Do an action, once for all cards of its event.

        Raises:
            StreamError: Redis is away; asking again is safe.
        """
        if situation.first is not None:
            return _second(action, situation.first)
        facts, request = situation.facts, None
        before = situation.escalated_before
        if action.action == ESCALATE and before is not None:
            return _second(action, before)
        if facts is not None:
            action = replace(action, channel=facts.channel)
        if action.action in WORK:
            if facts is None:
                # A worker could not tell what the request is about.
                return NotNow()
            request = request_fields(
                action,
                event_key=event_key(facts.stream, facts.event_id),
                event_id=facts.event_id,
                event_type=facts.event_type,
                correlation_id=facts.correlation_id,
                channel=facts.channel,
                subject=facts.subject,
            )
        first = await self._actions.accept(action, request, situation.matter)
        if first is not None:
            return _second(action, _first(first))
        log.info(
            "action_accepted",
            action=action.action,
            via=str(action.via),
            notification_id=action.notification_id,
        )
        return Accepted(_first(action))


def _second(action: Action, first: FirstAction) -> Result:
    if (first.who, first.action) == (action.who, action.action):
        return Accepted(first)
    return AlreadyActed(first)


def _first(action: Action, *, channel: str = "", to: str = "") -> FirstAction:
    at = action.at.isoformat()
    return FirstAction(action.who, action.action, at, action.channel or channel, to)


def _recorded(facts: NotificationFacts | None) -> FirstAction | None:
    if facts is None or facts.acknowledged_at is None:
        return None
    return FirstAction(
        facts.acknowledged_by or "—",
        facts.action_taken or ACKNOWLEDGE,
        facts.acknowledged_at.isoformat(),
        facts.acknowledged_in or "",
    )


def _escalated(facts: NotificationFacts | None) -> FirstAction | None:
    if facts is None or facts.escalated_at is None:
        return None
    return FirstAction(
        facts.escalated_by or "—",
        ESCALATE,
        facts.escalated_at.isoformat(),
        to=facts.escalated_to or "",
    )
