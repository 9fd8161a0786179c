"""What the pages show of dead letters and critical events, worked out from what is known; no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from notifier.dead_letters.listing import Listed
from notifier.escalation.policy import Case, Escalate, Finished, Matrix, Step, Wait, chain_of
from notifier.events.entry import Priority
from notifier.web.console.queries import DeadLetterRef
from notifier.web.console.repository import UnacknowledgedEvent

_SHOWN_DETAIL = 400


@dataclass(frozen=True, slots=True)
class Ending:
    """How an earlier try of the same notification ended."""

    dead_at: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """A dead letter without its event."""

    ref: DeadLetterRef
    died_at: datetime
    reason: str
    detail: str
    stage: str
    channel: str
    event_type: str
    priority: str
    correlation_id: str
    event_id: str
    notification_id: str
    last_status: str
    source: str
    signer: str
    """Whose signature its entry had, which may be forged."""
    attempts: int
    """Over all of its lives."""
    history: tuple[Ending, ...]


def dead_letter_view(letter: Listed) -> DeadLetterView:
    """Return what is shown of a dead letter; whatever its fields are, it can be shown."""
    get = letter.fields.get
    ms = int(letter.id.partition("-")[0])
    return DeadLetterView(
        DeadLetterRef(letter.id, letter.stream),
        datetime.fromtimestamp(min(ms, 253402300799000) / 1000, UTC),
        get("reason", ""),
        get("detail", "")[:_SHOWN_DETAIL],
        get("stage", ""),
        get("channel", ""),
        get("event_type", ""),
        get("priority", ""),
        get("correlation_id", ""),
        get("event_id", ""),
        get("notification_id", ""),
        get("last_status", ""),
        get("source", ""),
        get("signer", ""),
        _count(get("attempts", "")) + _count(get("attempts_before", "")),
        _history(get("history", "")),
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _history(text: str) -> tuple[Ending, ...]:
    try:
        endings = json.loads(text or "[]")
    except ValueError:
        return ()
    if not isinstance(endings, list):
        return ()
    return tuple(
        Ending(*(str(each.get(name, "")) for name in ("dead_at", "reason", "detail")))
        for each in endings
        if isinstance(each, Mapping)
    )


@dataclass(frozen=True, slots=True)
class NextStep:
    """Who is told next, and when; `at` None: at once."""

    channel: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class CriticalView:
    """A critical event that some channel has not acknowledged."""

    event: UnacknowledgedEvent
    told: tuple[str, ...]
    """Channels that were told in escalations so far."""
    next: NextStep | None
    """None: nobody else is told by itself."""


def critical_views(
    events: Sequence[UnacknowledgedEvent], matrix: Matrix, now: datetime
) -> tuple[list[CriticalView], list[CriticalView]]:
    """Return the events that nobody has taken, and those that another channel has."""
    views = [_critical(event, matrix, now) for event in events]
    return (
        [view for view in views if view.event.taken_by is None],
        [view for view in views if view.event.taken_by is not None],
    )


def _critical(event: UnacknowledgedEvent, matrix: Matrix, now: datetime) -> CriticalView:
    told = tuple(dict.fromkeys(channel for _, channel, _ in event.steps))
    if event.taken_by is not None or not matrix.enabled:
        return CriticalView(event, told, None)
    channels = event.stakeholders or event.channels
    case = Case(
        Priority.CRITICAL,
        event.since,
        channels,
        tuple(Step(*step) for step in event.steps),
        acknowledged=False,
    )
    following: NextStep | None
    match matrix.decide(case, now):
        case Finished():
            following = None
        case Escalate(_, channel, _):
            following = NextStep(channel, None)
        case Wait(until):
            chain = chain_of(matrix.rules[Priority.CRITICAL], channels)
            following = NextStep(chain[len(case.steps)], until)
    return CriticalView(event, told, following)
