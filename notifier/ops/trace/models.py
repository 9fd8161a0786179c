"""What is known of an event's way, source by source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from notifier.store.rows import DeadLetterActionRow, EscalationRow


class State(StrEnum):
    """Where a notification is now."""

    WAITING = "waiting"
    """In its lane; nobody has it in hand."""
    IN_HAND = "in_hand"
    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    DISCARDED = "discarded"
    """It was a dead letter, and somebody has discarded it."""


class Intake(StrEnum):
    """What became of an entry of an event stream."""

    UNREAD = "unread"
    IN_HAND = "in_hand"
    TAKEN_IN = "taken_in"
    DUPLICATE = "duplicate"
    """Its event id was accepted before; it was dropped."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One post."""

    number: int
    started_at: datetime
    duration_seconds: float
    status_code: int | None
    error: str | None
    waited_seconds: float | None
    """Since the attempt before had ended; None for the first that is known."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification in its lane."""

    lane: str
    since: datetime
    """When it came into the lane."""
    position: int | None
    """1 = next; None when the lane is too long to tell."""
    length: int
    consumer: str | None
    idle_seconds: float | None
    """Since the consumer read it or last renewed its lease."""
    deliveries: int
    """How often a consumer took it in hand."""
    channel: str = ""
    """What keeps its channel from taking posts; empty if nothing is known to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a notification ended the last time."""

    status: str
    status_code: int | None
    error: str | None
    at: datetime
    retry_count: int
    host: str | None
    template: str | None
    title: str | None
    """The card in one sentence."""
    digest_id: str | None
    recorded_at: datetime | None
    """When Postgres had it first; None: it still waits for Postgres."""
    card: JsonValue = None
    """As it was sent; None when it was not kept, or not asked for."""


@dataclass(frozen=True, slots=True)
class DeadLetterHit:
    """A dead letter that waits for somebody."""

    id: str
    dead_at: str
    reason: str
    detail: str
    stage: str
    stream: str
    source_id: str
    event_id: str
    correlation_id: str
    notification_id: str
    event_type: str
    channel: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What a person did from a card; their note is not shown, for it may name a patient."""

    action: str
    who: str
    at: datetime
    via: str | None
    """None when another card of the same event was answered."""
    recorded: bool
    """Whether it stands in the notification's row already."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a notification is."""

    id: str
    stream: str
    entry_id: str
    event_id: str
    correlation_id: str
    event_type: str
    channel: str
    priority: str
    trace_id: str | None
    """Of its producer's trace (W3C Trace Context)."""
    event_time: datetime | None = None
    """When it happened, as its producer says."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The way of one notification."""

    identity: Identity
    published_at: datetime
    waiting: Waiting | None = None
    ended: Ended | None = None
    attempts: tuple[Attempt, ...] = ()
    letters: tuple[DeadLetterHit, ...] = ()
    revivals: tuple[DeadLetterActionRow, ...] = ()
    taken: Taken | None = None
    escalations: tuple[EscalationRow, ...] = ()
    """Of its event."""
    escalates: EscalationRow | None = None
    """The step that it is itself."""

    @property
    def state(self) -> State:
        """Say where it is now."""
        if self.waiting is not None:
            return State.IN_HAND if self.waiting.consumer else State.WAITING
        if self.ended is not None and self.ended.status == "delivered":
            return State.DELIVERED
        if not self.letters and any(each.action == "discard" for each in self.revivals):
            return State.DISCARDED
        return State.DEAD_LETTERED


@dataclass(frozen=True, slots=True)
class Published:
    """An entry of an event stream."""

    stream: str
    entry_id: str
    at: datetime
    intake: Intake
    consumer: str | None
    """Who has it in hand."""
    event_id: str | None
    """None: it is not an event."""
    correlation_id: str | None
    event_type: str | None
    fault: str | None
    """Why it is not an event."""
    accepted_entry: str | None
    """The entry by which its event id was accepted, while that is remembered."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A place that was looked at."""

    place: str
    how: str
    whole: bool
    """Whether all of it was looked at."""
    problem: str | None = None
    """Why it could not be looked at."""


@dataclass(frozen=True, slots=True)
class TraceResult:
    """Everything that matches what was asked for, newest first."""

    query: str
    journeys: tuple[Timeline, ...]
    published: tuple[Published, ...]
    letters: tuple[DeadLetterHit, ...]
    """Dead letters that belong to no notification above."""
    revivals: tuple[DeadLetterActionRow, ...]
    """Likewise."""
    more: bool
    """There are more notifications than were asked for."""
    looked: tuple[Looked, ...]
    causes: tuple[str, ...]
    """When nothing was found: why that may be."""

    @property
    def nothing(self) -> bool:
        """Tell whether nothing matches."""
        return not (self.journeys or self.published or self.letters or self.revivals)
