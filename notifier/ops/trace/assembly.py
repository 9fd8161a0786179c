"""Put together what Postgres and Redis know of each notification."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from notifier.cards.redact_links import without_links
from notifier.events.action import Action
from notifier.events.times import entry_time
from notifier.ops.trace.models import (
    Attempt,
    DeadLetterHit,
    Ended,
    Identity,
    Taken,
    Timeline,
    Waiting,
)
from notifier.ops.trace.reading import attempts_of
from notifier.ops.trace.repository import Recorded
from notifier.store.rows import DeadLetterActionRow, NotificationRow


@dataclass
class StreamHits:
    """What was seen in Redis."""

    waiting: list[tuple[Identity, Waiting]] = field(default_factory=list)
    outcomes: list[tuple[Identity, Ended, tuple[Attempt, ...]]] = field(default_factory=list)
    letters: list[tuple[DeadLetterHit, Identity | None]] = field(default_factory=list)
    taken: dict[str, Action] = field(default_factory=dict)


def identities(recorded: Recorded, sightings: StreamHits) -> dict[str, Identity]:
    """Return every notification that was found, by id."""
    found = {row.id: _identity(row) for row in recorded.rows}
    seen = [
        *(identity for identity, _ in sightings.waiting),
        *(identity for identity, _, _ in sightings.outcomes),
        *(identity for _, identity in sightings.letters if identity is not None),
    ]
    return {**{identity.id: identity for identity in seen}, **found}


def assemble(recorded: Recorded, sightings: StreamHits) -> list[Timeline]:
    """Return the journeys, those that were published last first."""
    rows = {row.id: row for row in recorded.rows}
    waiting = {identity.id: each for identity, each in sightings.waiting}
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for each in recorded.attempts:
        attempts[each.notification_id].append(
            Attempt(
                each.attempt,
                each.started_at,
                each.duration_seconds,
                each.status_code,
                each.error,
                None,
            )
        )
    ended = {row.id: _ended(row, recorded.cards.get(row.id)) for row in recorded.rows}
    for identity, end, tried in sightings.outcomes:
        attempts[identity.id] += tried
        before = ended.get(identity.id)
        if before is None or (end.at > before.at and before.status != "delivered"):
            ended[identity.id] = end
    steps = recorded.escalations
    revivals = recorded.dead_letter_actions
    journeys = [
        Timeline(
            identity,
            entry_time(identity.entry_id),
            waiting.get(notification_id),
            ended.get(notification_id),
            _in_order(attempts[notification_id]),
            tuple(
                letter
                for letter, owner in sightings.letters
                if owner is not None and owner.id == notification_id
            ),
            tuple(
                each
                for each in revivals
                if _belongs(each, identity, ended.get(notification_id))
            ),
            _taken(notification_id, rows, recorded, sightings.taken),
            tuple(
                step
                for step in steps
                if (step.stream, step.event_id) == (identity.stream, identity.event_id)
            ),
            next((step for step in steps if step.escalation_id == notification_id), None),
        )
        for notification_id, identity in identities(recorded, sightings).items()
    ]
    return sorted(
        journeys,
        key=lambda journey: (journey.published_at, journey.identity.channel),
        reverse=True,
    )


def events_revived(recorded: Recorded, text: str) -> set[str]:
    """Return the events that lead on: of the dead letter that was asked for, and those that others became."""
    return {
        each.event_id
        for each in recorded.dead_letter_actions
        if each.event_id and (each.letter_id == text or each.edited)
    }


def _belongs(revival: DeadLetterActionRow, identity: Identity, ended: Ended | None) -> bool:
    """Tell whether a notification was the dead letter, or came out of it."""
    if revival.notification_id == identity.id:
        return True
    if revival.action != "replay" or not (revival.edited or revival.notification_id is None):
        return False
    # What had ended before is of the event too, but not of the letter.
    return (revival.stream, revival.event_id) == (identity.stream, identity.event_id) and (
        ended is None or ended.at >= revival.at
    )


def _identity(row: NotificationRow) -> Identity:
    return Identity(
        row.id,
        row.stream,
        row.entry_id,
        row.event_id,
        row.correlation_id,
        row.event_type,
        row.channel,
        row.priority,
        row.trace_id,
        row.event_time,
    )


def _ended(row: NotificationRow, card: JsonValue) -> Ended:
    return Ended(
        row.status,
        row.status_code,
        row.error_message,
        row.sent_at,
        row.retry_count,
        row.webhook_host,
        row.template,
        row.card_text,
        row.digest_id,
        row.created_at,
        without_links(card),
    )


def _in_order(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Return attempts without those that both Postgres and Redis know."""
    known = {(each.started_at, each.number): each for each in attempts}
    return attempts_of(
        [
            (each.number, each.started_at, each.duration_seconds, each.status_code, each.error)
            for each in known.values()
        ]
    )


def _taken(
    notification_id: str,
    rows: Mapping[str, NotificationRow],
    recorded: Recorded,
    known_to_redis: Mapping[str, Action],
) -> Taken | None:
    for each in recorded.actions:
        if each.notification_id == notification_id:
            return Taken(each.action, each.who, each.at, each.via, each.applied)
    row = rows.get(notification_id)
    if row is not None and row.acknowledged_at is not None:
        return Taken(
            row.action_taken or "acknowledge",
            row.acknowledged_by or "—",
            row.acknowledged_at,
            None,
            recorded=True,
        )
    first = known_to_redis.get(notification_id)
    if first is None:
        return None
    return Taken(first.action, first.who, first.at, str(first.via), recorded=False)
