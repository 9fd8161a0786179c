"""Replay or discard a dead letter: noted in Postgres first, then done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move, MoveResult, Target
from notifier.broker.keys import Keys
from notifier.dead_letters.audit import DeadLetterAudit, EventIds
from notifier.dead_letters.listing import DeadLetter
from notifier.dead_letters.replay import Replayer
from notifier.errors import EventError
from notifier.events.notification import Notification, decode


@dataclass(frozen=True, slots=True)
class Replayed:
    """Where a letter goes, and whether this call put it there."""

    places: tuple[str, ...]
    done: bool
    """False: somebody else replayed or discarded it a moment before."""


@dataclass(frozen=True, slots=True)
class DeadLetterService:
    """Who does something with dead letters goes through here; safe to repeat."""

    group: Consumer
    log: DeadLetterAudit
    replayer: Replayer

    async def places(
        self,
        letter: DeadLetter,
        edited: Mapping[str, JsonValue] | None = None,
        to: str | None = None,
    ) -> tuple[str, ...]:
        """Return the streams that a replay would add to; raises as it."""
        targets = await self._targets(letter, edited, to)
        return tuple(stream for stream, _ in targets)

    async def replay(
        self,
        letter: DeadLetter,
        *,
        who: str,
        why: str | None,
        edited: Mapping[str, JsonValue] | None = None,
        to: str | None = None,
    ) -> Replayed:
        """Put a letter back to work, with `edited` in place of its event and `to` in place of its channels.

        Raises:
            EventError: It is still not an event, its channel is gone, or `to` has had it already.
            UnroutableError: It still goes nowhere.
            StoreError: Postgres is away; the message says whether anything was done.
            StreamError: Redis is away; asking again is safe.
        """
        targets = await self._targets(letter, edited, to)
        noted = await self.log.note(
            letter.whole(), action="replay", who=who, why=why, edited=edited is not None,
            became=_event_of(targets),
        )  # fmt: skip
        done = await self._take_out(letter, targets)
        await self.log.settle(noted, done=done)
        return Replayed(tuple(stream for stream, _ in targets), done)

    async def discard(self, letter: DeadLetter, *, who: str, why: str) -> bool:
        """Take a letter away for good; False when it was gone already.

        Raises:
            StoreError: Postgres is away; the message says whether anything was done.
            StreamError: Redis is away; asking again is safe.
        """
        noted = await self.log.note(letter.whole(), action="discard", who=who, why=why)
        done = await self._take_out(letter, [])
        await self.log.settle(noted, done=done)
        return done

    async def _take_out(self, letter: DeadLetter, targets: Sequence[Target]) -> bool:
        dead = Keys(letter.stream).dead
        [result] = await self.group.move(dead, [Move(dead, letter.id, tuple(targets))])
        return result is MoveResult.MOVED

    async def _targets(
        self, letter: DeadLetter, edited: Mapping[str, JsonValue] | None, to: str | None
    ) -> list[Target]:
        targets = self.replayer.targets(letter.stream, letter.fields, letter.raw, edited, to)
        if to is not None:
            ids = [notification.id for notification in _notifications(targets)]
            if await self.log.delivered(ids, since=datetime(1970, 1, 1, tzinfo=UTC)):
                raise EventError("channel", "has had this event already; discard the letter")
        return targets


def _notifications(targets: Sequence[Target]) -> list[Notification]:
    texts = [fields["notification"] for _, fields in targets if "notification" in fields]
    return [decode(text if isinstance(text, bytes) else text.encode()) for text in texts]


def _event_of(targets: Sequence[Target]) -> EventIds | None:
    """Return the event that a letter becomes; None when it was a card's record."""
    for notification in _notifications(targets):
        return EventIds(notification.event_id, notification.correlation_id)
    return None
