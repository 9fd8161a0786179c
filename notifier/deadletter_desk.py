"""Replay or discard a dead letter: noted in Postgres first, then done once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from notifier.deadletters import DeadLetter
from notifier.replays import Replayer
from notifier.store.dead_letters import DeadLetterLog
from notifier.streams.group import ConsumerGroup
from notifier.streams.keys import Keys


@dataclass(frozen=True, slots=True)
class Replayed:
    """Where a letter goes, and whether this call put it there."""

    places: tuple[str, ...]
    done: bool
    """False: somebody else replayed or discarded it a moment before."""


@dataclass(frozen=True, slots=True)
class DeadLetterDesk:
    """Who does something with dead letters goes through here; safe to repeat."""

    group: ConsumerGroup
    log: DeadLetterLog
    replayer: Replayer

    def places(
        self, letter: DeadLetter, edited: Mapping[str, JsonValue] | None = None
    ) -> tuple[str, ...]:
        """Return the streams that a replay would add to.

        Raises:
            EventError: It is still not an event.
            UnroutableError: It still goes nowhere.
        """
        targets = self.replayer.targets(letter.stream, letter.fields, letter.raw, edited)
        return tuple(stream for stream, _ in targets)

    async def replay(
        self,
        letter: DeadLetter,
        *,
        who: str,
        why: str | None,
        edited: Mapping[str, JsonValue] | None = None,
    ) -> Replayed:
        """Put a letter back to work, with `edited` in place of its event.

        Raises:
            EventError: It is still not an event.
            UnroutableError: It still goes nowhere.
            StoreError: Postgres is away; nothing was done.
            StreamError: Redis is away; asking again is safe.
        """
        targets = self.replayer.targets(letter.stream, letter.fields, letter.raw, edited)
        await self.log.note(
            letter.whole(), action="replay", who=who, why=why, edited=edited is not None
        )
        done = await self.group.revive(Keys(letter.stream).dead, letter.id, targets)
        return Replayed(tuple(stream for stream, _ in targets), done)

    async def discard(self, letter: DeadLetter, *, who: str, why: str) -> bool:
        """Take a letter away for good; False when it was gone already.

        Raises:
            StoreError: Postgres is away; nothing was done.
            StreamError: Redis is away; asking again is safe.
        """
        await self.log.note(letter.whole(), action="discard", who=who, why=why)
        return await self.group.revive(Keys(letter.stream).dead, letter.id, [])
