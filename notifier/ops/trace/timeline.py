"""Timelines: join the facts of Postgres and Redis, and tell them as steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import JsonValue, TypeAdapter

from notifier.cards.redact_links import without_links
from notifier.events import outcome
from notifier.events.action import Action
from notifier.events.json import exact_json
from notifier.events.notification import Notification
from notifier.events.outcome import Outcome
from notifier.events.times import ahead_of, entry_time
from notifier.ops.trace.entries import trace_id
from notifier.ops.trace.models import (
    Attempt,
    DeadLetterHit,
    Ended,
    Identity,
    PersonAction,
    Timeline,
    TraceResult,
    Waiting,
)
from notifier.ops.trace.repository import Recorded
from notifier.store.rows import (
    AttemptRow,
    DeadLetterActionRow,
    EscalationRow,
    NotificationRow,
)

_LONGEST_TITLE = 400
_JSON_NAMES = {
    "timelines": "journeys",
    "dead_letters": "letters",
    "dead_letter_actions": "revivals",
    "searched": "looked",
    "action": "taken",
}
"""Keys of --json that differ from the names of fields."""


@dataclass
class StreamHits:
    """The matching entries in Redis."""

    waiting: list[tuple[Identity, Waiting]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead_letters: list[tuple[DeadLetterHit, Identity | None]] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    """First action by notification."""


def identities(recorded: Recorded, hits: StreamHits) -> dict[str, Identity]:
    """Return every notification that was found, by id."""
    found = [
        *(identity for identity, _ in hits.waiting),
        *(identity_of(each) for each in hits.outcomes),
        *(identity for _, identity in hits.dead_letters if identity is not None),
        *(identity_of(row) for row in recorded.rows),
    ]
    return {identity.id: identity for identity in found}


def identity_of(found: Notification | NotificationRow | Outcome) -> Identity:
    """Return the identity of a notification, a row or an outcome."""
    return Identity(
        found.id,
        found.stream,
        found.entry_id,
        found.event_id,
        found.correlation_id,
        found.event_type,
        found.channel,
        str(found.priority),
        trace_id(found.traceparent),
        _time(found.event_time),
    )


def _time(time: datetime | str | None) -> datetime | None:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return None
    return time if time is not None and time.tzinfo else None


def timelines(recorded: Recorded, hits: StreamHits, *, cards: bool) -> list[Timeline]:
    """Return the timelines, latest first; `cards` keeps cards of outcomes."""
    waiting = {identity.id: each for identity, each in hits.waiting}
    attempts: defaultdict[str, list[AttemptRow | outcome.Attempt]] = defaultdict(list)
    for row in recorded.attempts:
        attempts[row.notification_id].append(row)
    ended = {
        row.id: _ended(row, row.card_text, row.created_at, recorded.cards.get(row.id))
        for row in recorded.rows
    }
    for each in hits.outcomes:
        attempts[each.id] += each.attempts
        before = ended.get(each.id)
        if before is None or (each.sent_at > before.at and before.status != "delivered"):
            ended[each.id] = _ended_of_outcome(each, cards=cards)
    found = []
    for notification_id, identity in identities(recorded, hits).items():
        event, end = (identity.stream, identity.event_id), ended.get(notification_id)
        dead_letters = [
            letter
            for letter, owner in hits.dead_letters
            if owner is not None and owner.id == notification_id
        ]
        handled = [
            each for each in recorded.dead_letter_actions if _belongs(each, identity, end)
        ]
        steps = [each for each in recorded.escalations if (each.stream, each.event_id) == event]
        own = [each for each in recorded.escalations if each.escalation_id == notification_id]
        found.append(
            Timeline(
                identity,
                entry_time(identity.entry_id),
                waiting.get(notification_id),
                end,
                attempts_of(attempts[notification_id]),
                tuple(dead_letters),
                tuple(handled),
                _action(notification_id, recorded, hits.actions),
                tuple(steps),
                own[0] if own else None,
            )
        )
    return sorted(
        found, key=lambda each: (each.published_at, each.identity.channel), reverse=True
    )


def events_of_dead_letters(recorded: Recorded, text: str) -> set[str]:
    """Return events of the wanted dead letter, and of corrected ones."""
    return {
        each.event_id
        for each in recorded.dead_letter_actions
        if each.event_id and (each.letter_id == text or each.edited)
    }


def attempts_of(known: Iterable[AttemptRow | outcome.Attempt]) -> tuple[Attempt, ...]:
    """Return attempts once, oldest first, each with the wait before it."""
    distinct = {(each.started_at, each.attempt): each for each in known}
    attempts: list[Attempt] = []
    ended: datetime | None = None
    for each in sorted(distinct.values(), key=lambda each: each.started_at):
        waited = None if ended is None else max(0.0, (each.started_at - ended).total_seconds())
        attempts.append(
            Attempt(
                each.attempt,
                each.started_at,
                each.duration_seconds,
                each.status_code,
                each.error,
                waited,
            )
        )
        ended = datetime.fromtimestamp(each.started_at.timestamp() + each.duration_seconds, UTC)
    return tuple(attempts)


def _belongs(action: DeadLetterActionRow, identity: Identity, ended: Ended | None) -> bool:
    """Tell whether a notification was the dead letter, or came out of it."""
    if action.notification_id == identity.id:
        return True
    if action.action != "replay" or not (action.edited or action.notification_id is None):
        return False
    # An earlier outcome is of the event too, but not of the dead letter.
    return (action.stream, action.event_id) == (identity.stream, identity.event_id) and (
        ended is None or ended.at >= action.at
    )


def _ended_of_outcome(found: Outcome, *, cards: bool) -> Ended:
    payload = exact_json(bytes(found.card_payload).decode())
    title = payload.get("fallbackText") if isinstance(payload, dict) else None
    shown = str(title)[:_LONGEST_TITLE] if title else None
    return _ended(found, shown, None, payload if cards else None)


def _ended(
    found: NotificationRow | Outcome,
    title: str | None,
    recorded_at: datetime | None,
    card: JsonValue,
) -> Ended:
    return Ended(
        found.status,
        found.status_code,
        found.error_message,
        found.sent_at,
        found.retry_count,
        found.webhook_host,
        found.template,
        title,
        found.digest_id,
        recorded_at,
        without_links(card),
    )


def _action(
    notification_id: str, recorded: Recorded, known_to_redis: Mapping[str, Action]
) -> PersonAction | None:
    for each in recorded.actions:
        if each.notification_id == notification_id:
            return PersonAction(each.action, each.who, each.at, each.via, each.applied)
    for row in recorded.rows:
        if row.id == notification_id and row.acknowledged_at is not None:
            who = row.acknowledged_by or "—"
            action = row.action_taken or "acknowledge"
            return PersonAction(action, who, row.acknowledged_at, None, recorded=True)
    first = known_to_redis.get(notification_id)
    if first is None:
        return None
    return PersonAction(first.action, first.who, first.at, str(first.via), recorded=False)


def document(found: TraceResult) -> dict[str, JsonValue]:
    """Return a result as --json prints it."""
    whole = TypeAdapter(TraceResult).dump_python(replace(found, timelines=()), mode="json")
    dump_timeline = TypeAdapter(Timeline).dump_python
    dump_steps = TypeAdapter(list[Step]).dump_python
    journeys: list[JsonValue] = [
        {
            "state": each.state.value,
            **_with_json_names(dump_timeline(each, mode="json")),
            "steps": dump_steps(steps_of(each), mode="json"),
        }
        for each in found.timelines
    ]
    return {**_with_json_names(whole), "journeys": journeys}


def _with_json_names(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {_JSON_NAMES.get(name, name): value for name, value in fields.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a timeline; a lasting state has no time and comes last."""

    at: datetime | None
    what: str
    detail: str


def steps_of(timeline: Timeline) -> list[Step]:
    """Return the steps of a notification, oldest first."""
    steps = [
        _published(timeline),
        *(_attempt(attempt) for attempt in timeline.attempts),
        *(_dead_letter_action(each) for each in timeline.dead_letter_actions),
        *(_escalation(step) for step in timeline.escalations),
        *_ending(timeline),
        *(
            Step(None, "is a dead letter", f"{letter.id}: {letter.reason}: {letter.detail}")
            for letter in timeline.dead_letters
        ),
        *_person_action(timeline),
    ]
    if timeline.escalates is not None:
        step = timeline.escalates
        detail = f"this card is step {step.step} of event {step.event_id}"
        steps.append(Step(step.at, "escalation", detail))
    if timeline.waiting is not None:
        steps += _waiting(timeline.waiting)
    return sorted(steps, key=lambda step: (step.at is None, step.at or timeline.published_at))


def _published(timeline: Timeline) -> Step:
    identity = timeline.identity
    detail = f"{identity.stream} entry {identity.entry_id}"
    time = identity.event_time
    if time is not None and ahead_of(time, timeline.published_at):
        detail += f"; its time is {time:%Y-%m-%d %H:%M} UTC, later than it was published"
    return Step(timeline.published_at, "published", detail)


def _attempt(attempt: Attempt) -> Step:
    answer = attempt.error or (str(attempt.status_code) if attempt.status_code else "no answer")
    detail = f"{answer}, took {attempt.duration_seconds:.3f} s"
    if attempt.waited_seconds is not None:
        detail += f", {attempt.waited_seconds:.1f} s after the one before"
    return Step(attempt.started_at, f"attempt {attempt.number}", detail)


def _dead_letter_action(each: DeadLetterActionRow) -> Step:
    what = "replayed" if each.action == "replay" else "discarded"
    detail = f"dead letter {each.letter_id} ({each.reason}) by {each.who}"
    if each.why:
        detail += f": {each.why}"
    if each.edited:
        detail += "; with a corrected event"
    return Step(each.at, what, detail)


def _escalation(step: EscalationRow) -> Step:
    cause = f"by {step.who}" if step.who else "nobody had acknowledged it"
    detail = f"step {step.step} to {step.channel}, {cause}; notification {step.escalation_id}"
    return Step(step.at, "escalated", detail)


def _ending(timeline: Timeline) -> list[Step]:
    ended = timeline.ended
    if ended is None:
        return []
    last = timeline.attempts[-1] if timeline.attempts else None
    if ended.status == "delivered":
        parts = [str(ended.status_code or ""), f"to {ended.host}" if ended.host else ""]
        if last is not None:
            took = (ended.at - timeline.published_at).total_seconds()
            parts.append(f"{took:.3f} s after it was published")
        parts.append(
            f"in digest {ended.digest_id}"
            if ended.digest_id
            else f"webhook-id {timeline.identity.id}"
        )
        if ended.title:
            parts.append(f"card {ended.template}: {ended.title}")
        steps = [Step(ended.at, "delivered", ", ".join(part for part in parts if part))]
    else:
        steps = [Step(ended.at, "dead letter", ended.error or "")]
    if ended.recorded_at is None:
        waits = "it waits for the recorder: it is not in Postgres yet"
        return [*steps, Step(None, "not recorded", waits)]
    return [*steps, Step(ended.recorded_at, "recorded", "in teams_notifications")]


def _person_action(timeline: Timeline) -> list[Step]:
    action = timeline.action
    if action is None:
        return []
    how = f"via {action.via}" if action.via else "on another card of the event"
    later = "" if action.recorded else "; its row does not say so yet"
    return [Step(action.at, action.action, f"by {action.who}, {how}{later}")]


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
