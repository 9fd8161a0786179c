"""Tell a journey as steps in the order of their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from notifier.events.times import ahead_of
from notifier.ops.trace.models import Attempt, Timeline, Waiting
from notifier.store.rows import DeadLetterActionRow, EscalationRow


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened; what still lasts has no time and comes last."""

    at: datetime | None
    what: str
    detail: str


def steps_of(journey: Timeline) -> list[Step]:
    """Return what happened to a notification, oldest first."""
    steps = [
        _published(journey),
        *(_attempt(attempt) for attempt in journey.attempts),
        *(_revival(revival) for revival in journey.revivals),
        *(_escalation(step) for step in journey.escalations),
        *_ending(journey),
        *_letters(journey),
        *_taken(journey),
    ]
    if journey.escalates is not None:
        step = journey.escalates
        detail = f"this card is step {step.step} of event {step.event_id}"
        steps.append(Step(step.at, "escalation", detail))
    if journey.waiting is not None:
        steps += _waiting(journey.waiting)
    return sorted(steps, key=lambda step: (step.at is None, step.at or journey.published_at))


def _published(journey: Timeline) -> Step:
    identity = journey.identity
    detail = f"{identity.stream} entry {identity.entry_id}"
    time = identity.event_time
    if time is not None and ahead_of(time, journey.published_at):
        detail += f"; its time is {time:%Y-%m-%d %H:%M} UTC, later than it was published"
    return Step(journey.published_at, "published", detail)


def _attempt(attempt: Attempt) -> Step:
    answer = attempt.error or (str(attempt.status_code) if attempt.status_code else "no answer")
    detail = f"{answer}, took {attempt.duration_seconds:.3f} s"
    if attempt.waited_seconds is not None:
        detail += f", {attempt.waited_seconds:.1f} s after the one before"
    return Step(attempt.started_at, f"attempt {attempt.number}", detail)


def _revival(revival: DeadLetterActionRow) -> Step:
    what = "replayed" if revival.action == "replay" else "discarded"
    detail = f"dead letter {revival.letter_id} ({revival.reason}) by {revival.who}"
    if revival.why:
        detail += f": {revival.why}"
    if revival.edited:
        detail += "; with a corrected event"
    return Step(revival.at, what, detail)


def _escalation(step: EscalationRow) -> Step:
    cause = f"by {step.who}" if step.who else "nobody had answered"
    detail = f"step {step.step} to {step.channel}, {cause}; notification {step.escalation_id}"
    return Step(step.at, "escalated", detail)


def _ending(journey: Timeline) -> list[Step]:
    ended = journey.ended
    if ended is None:
        return []
    last = journey.attempts[-1] if journey.attempts else None
    if ended.status == "delivered":
        told = [str(ended.status_code or ""), f"to {ended.host}" if ended.host else ""]
        if last is not None:
            took = (ended.at - journey.published_at).total_seconds()
            told.append(f"{took:.3f} s after it was published")
        told.append(
            f"in digest {ended.digest_id}"
            if ended.digest_id
            else f"webhook-id {journey.identity.id}"
        )
        if ended.title:
            told.append(f"card {ended.template}: {ended.title}")
        steps = [Step(ended.at, "delivered", ", ".join(part for part in told if part))]
    else:
        steps = [Step(ended.at, "dead letter", ended.error or "")]
    if ended.recorded_at is None:
        waits = "it waits for the recorder: Postgres has not got it yet"
        return [*steps, Step(None, "not recorded", waits)]
    return [*steps, Step(ended.recorded_at, "recorded", "in teams_notifications")]


def _letters(journey: Timeline) -> list[Step]:
    return [
        Step(None, "is a dead letter", f"{letter.id}: {letter.reason}: {letter.detail}")
        for letter in journey.letters
    ]


def _taken(journey: Timeline) -> list[Step]:
    taken = journey.taken
    if taken is None:
        return []
    how = f"via {taken.via}" if taken.via else "on another card of the event"
    later = "" if taken.recorded else "; its row does not say so yet"
    return [Step(taken.at, taken.action, f"by {taken.who}, {how}{later}")]


def _waiting(waiting: Waiting) -> list[Step]:
    place = (
        f"{waiting.position} of {waiting.length}"
        if waiting.position
        else f"somewhere among {waiting.length}"
    )
    came = Step(waiting.since, "into its lane", waiting.lane)
    held = f", channel {waiting.channel}" if waiting.channel else ""
    if waiting.consumer is None:
        return [came, Step(None, "waits", f"{place} in its lane{held or ', not read yet'}")]
    idle = waiting.idle_seconds or 0.0
    detail = f"of {waiting.consumer}, {place} in its lane, lease renewed {idle:.1f} s ago"
    if waiting.deliveries > 1:
        detail += f", read {waiting.deliveries} times"
    return [came, Step(None, "in flight", detail + held)]
