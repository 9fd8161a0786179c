"""Rows of the audit trail as escalation reads them, patient data masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from notifier.escalation.policy import Case, Step
from notifier.events.action import ESCALATE, Action, Matter
from notifier.events.entry import Priority
from notifier.events.notification import event_key, notification_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A notification of an event, and who acted on it."""

    stream: str
    event_id: str
    id: str
    channel: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    action_taken: str | None

    @property
    def acknowledged(self) -> bool:
        """Tell whether it was acknowledged; an escalation by hand does not count."""
        return self.acknowledged_at is not None and self.action_taken != ESCALATE


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNotification(_Member):
    """A notification that an event had from the beginning."""

    stakeholders: list[str]
    priority: str
    lang: str
    correlation_id: str
    event_type: str
    since: datetime
    """When it ended up in its channel, or failed to, by the clocks of the servers."""
    summary: str | None
    traceparent: str | None
    drives: bool = False
    """Whether the scheduler checks the event because of this row."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Return which channels got the event from the beginning."""
        return tuple(self.stakeholders) or (self.channel,)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStep(_Member):
    """A step of an escalation; its id is that of its notification."""

    number: int
    at: datetime

    @property
    def step(self) -> Step:
        """Return it as the policy knows it."""
        return Step(self.number, self.channel, self.at)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with its notifications and its escalations."""

    stream: str
    event_id: str
    notifications: tuple[EventNotification, ...]
    steps: tuple[EventStep, ...]

    @property
    def lead_id(self) -> str:
        """Return the id of its first notification, which may not be recorded yet."""
        return notification_id(self.stream, self.event_id, self.notifications[0].channels[0])

    @property
    def summary(self) -> str | None:
        """Return the first card that was kept, in one sentence."""
        return next((each.summary for each in self.notifications if each.summary), None)

    @property
    def member_ids(self) -> list[str]:
        """Return the ids of all its notifications, recorded or not."""
        channels = self.notifications[0].channels
        first = [notification_id(self.stream, self.event_id, name) for name in channels]
        return [*first, *(each.id for each in self.steps)]

    @property
    def case(self) -> Case:
        """Return it as the policy knows it; it has at least one notification."""
        first = self.notifications[0]
        return Case(
            Priority(first.priority),
            first.since,
            first.channels,
            tuple(each.step for each in self.steps),
            acknowledged=self.acknowledgement is not None,
        )

    @property
    def members(self) -> list[EventNotification | EventStep]:
        """Return its notifications and its escalations."""
        return [*self.notifications, *self.steps]

    @property
    def acknowledgement(self) -> EventNotification | EventStep | None:
        """Return the member that was acknowledged first, as far as Postgres knows."""
        acknowledged = [each for each in self.members if each.acknowledged]
        return min(acknowledged, key=lambda each: str(each.acknowledged_at), default=None)


@dataclass(frozen=True, slots=True)
class DueRow:
    """A row that the scheduler checks, and the event that it is checked for."""

    id: str
    stream: str
    event_id: str
    is_escalation: bool


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step to be written down."""

    event: RecordedEvent
    step: Step
    cause: str
    notification_id: str
    escalation_id: str
    who: str | None


@dataclass(frozen=True, slots=True)
class PlanPage:
    """How far planning rows again has come."""

    at: str = "-infinity"
    id: str = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class PendingAction:
    """An accepted action whose notification is recorded."""

    notification_id: str
    word: str
    who: str
    note: str
    via: str
    at: datetime
    stream: str
    event_id: str
    event_type: str
    correlation_id: str
    channel: str
    priority: str
    lang: str
    sent_at: datetime
    summary: str | None
    traceparent: str | None

    @property
    def action(self) -> Action:
        """Return what the person did."""
        return Action(self.notification_id, self.word, self.who, self.note, self.via, self.at)


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """The facts about a notification that an action page shows."""

    id: str
    event_id: str
    correlation_id: str
    event_type: str
    priority: str
    channel: str
    sent_at: datetime
    lang: str
    acknowledged_by: str | None
    """The person who acted on the event first, in any channel."""
    acknowledged_at: datetime | None
    action_taken: str | None
    summary: str | None
    """The card in one sentence; None: the card was not kept."""
    subject: Mapping[str, JsonValue]
    stream: str = ""
    channels: Sequence[str] = ()
    """Those that got the event from the beginning."""
    is_escalation: bool = False
    """The notification escalates the event of all other facts."""
    escalation_ids: Sequence[str] = ()
    acknowledged_in: str | None = None
    """The channel of the card that was acted on."""
    escalated_by: str | None = None
    """The person who escalated it by hand last."""
    escalated_at: datetime | None = None
    escalated_to: str | None = None

    @property
    def matter(self) -> Matter:
        """Return what an action on it is about."""
        others = [notification_id(self.stream, self.event_id, name) for name in self.channels]
        return Matter(
            self.id,
            event_key(self.stream, self.event_id),
            (*others, *self.escalation_ids),
            self.is_escalation,
        )


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """The critical notifications that one channel has not acknowledged."""

    channel: str
    count: int
    oldest_seconds: float
    """Since the oldest of them was posted."""
