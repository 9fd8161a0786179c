"""Facts about an event, as `notifier trace --json` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from pydantic import JsonValue

from notifier.store.rows import DeadLetterActionRow, EscalationRow


class State(StrEnum):
    """State of a notification."""

    WAITING = "waiting"
    """In its lane; no consumer has read it."""
    IN_FLIGHT = "in_hand"
    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    DISCARDED = "discarded"
    """It was a dead letter, and somebody has discarded it."""


class Intake(StrEnum):
    """State of an entry of an event stream."""

    UNREAD = "unread"
    IN_FLIGHT = "in_hand"
    ACCEPTED = "taken_in"
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
    """1 = next; None if the lane is too long to tell."""
    length: int
    consumer: str | None
    idle_seconds: float | None
    """Since the consumer read it or last renewed its lease."""
    deliveries: int
    """How often a consumer read or claimed it."""
    channel: str = ""
    """Why its channel accepts no posts; empty if no reason is known."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last outcome of a notification."""

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
    """When Postgres had it first; None: it still waits for the recorder."""
    card: JsonValue = None
    """As it was sent; None if it was not kept, or not asked for."""


@dataclass(frozen=True, slots=True)
class DeadLetterHit:
    """A dead letter in its stream."""

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
class PersonAction:
    """An action from a card, without the note: it may name a patient."""

    action: str
    who: str
    at: datetime
    via: str | None
    """None if it was on another card of the same event."""
    recorded: bool
    """Whether it is in the notification's row."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Ids and kind of a notification."""

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
    """When it happened, by its producer."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The known facts about one notification."""

    identity: Identity
    published_at: datetime
    waiting: Waiting | None = None
    ended: Ended | None = None
    attempts: tuple[Attempt, ...] = ()
    dead_letters: tuple[DeadLetterHit, ...] = ()
    dead_letter_actions: tuple[DeadLetterActionRow, ...] = ()
    action: PersonAction | None = None
    escalations: tuple[EscalationRow, ...] = ()
    """Of its event."""
    escalates: EscalationRow | None = None
    """The step that this notification is."""

    @property
    def event(self) -> tuple[str, str]:
        """Return the stream and the id of its event."""
        return self.identity.stream, self.identity.event_id

    @property
    def state(self) -> State:
        """Return its present state."""
        if self.waiting is not None:
            return State.IN_FLIGHT if self.waiting.consumer else State.WAITING
        if self.ended is not None and self.ended.status == "delivered":
            return State.DELIVERED
        discarded = any(each.action == "discard" for each in self.dead_letter_actions)
        if discarded and not self.dead_letters:
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
    """The one that has it in flight."""
    event_id: str | None
    """None: it is not an event."""
    correlation_id: str | None
    event_type: str | None
    fault: str | None
    """Why it is not an event."""
    accepted_entry: str | None
    """The entry by which its event id was accepted, while that is remembered."""

    @property
    def described(self) -> str:
        """Return its state in words."""
        match self.intake:
            case Intake.UNREAD:
                return "waits in the event stream; no daemon with the stage intake has read it"
            case Intake.IN_FLIGHT:
                return f"in flight at {self.consumer}, not accepted yet"
            case Intake.DUPLICATE:
                return (
                    f"dropped: its event id was accepted before, as entry {self.accepted_entry}"
                )
            case Intake.ACCEPTED:
                return "accepted"


@dataclass(frozen=True, slots=True)
class Searched:
    """A place that was searched."""

    place: str
    how: str
    whole: bool
    """Whether all of it was searched."""
    problem: str | None = None
    """Why it could not be searched."""


@dataclass(frozen=True, slots=True)
class TraceResult:
    """Everything that matches an id, newest first."""

    query: str
    timelines: tuple[Timeline, ...]
    published: tuple[Published, ...]
    dead_letters: tuple[DeadLetterHit, ...]
    """Those that belong to no timeline."""
    dead_letter_actions: Sequence[DeadLetterActionRow]
    """Those that belong to no timeline."""
    more: bool
    """There are more notifications than were asked for."""
    searched: tuple[Searched, ...]
    causes: tuple[str, ...]
    """Possible reasons for an empty result."""

    @property
    def nothing(self) -> bool:
        """Tell whether nothing matches."""
        found = (self.timelines, self.published, self.dead_letters, self.dead_letter_actions)
        return not any(found)

    @property
    def by_event(self) -> list[list[Timeline]]:
        """Return the timelines grouped by event, in the order of the search."""
        groups = groupby(self.timelines, lambda each: each.event)
        return [list(group) for _, group in groups]

    @property
    def other_entries(self) -> list[Published]:
        """Return the stream entries that no timeline shows."""
        shown = {each.event for each in self.timelines}
        return [
            each
            for each in self.published
            if each.intake is not Intake.ACCEPTED or (each.stream, each.event_id) not in shown
        ]
