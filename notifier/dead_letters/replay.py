"""Replay or discard a dead letter: record it first, then do it once."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace
from pydantic import JsonValue

from notifier.broker.hop import Move, MoveResult, Target
from notifier.broker.keys import Keys
from notifier.broker.streams import Streams
from notifier.dead_letters.audit import DeadLetterAudit, EventIds
from notifier.dead_letters.display import masked
from notifier.dead_letters.model import RECORDER, DeadLetter, Reason
from notifier.errors import EventError
from notifier.events.entry import Event, parse_entry, to_event
from notifier.events.json import MAX_DEPTH, exact_json, nested_deeper
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import (
    MOST_TRIES,
    Ending,
    Notification,
    decode,
    encode,
    notification_id,
)
from notifier.events.producer_signature import is_own
from notifier.events.routing import Catalogue

_KEPT_ENDINGS = 10
_DEEPEST = MAX_DEPTH + 2
"""Deepest nesting of a kept event: data within an event, within what is kept."""


@dataclass(frozen=True, slots=True)
class Replayer:
    """Finds the lane or stream that a replayed dead letter goes to."""

    catalogue: Catalogue
    masking: Masking
    max_event_bytes: int

    def targets(
        self,
        dead_letter: DeadLetter,
        edited: Mapping[str, JsonValue] | None = None,
        to: str | None = None,
    ) -> list[Target]:
        """Return the targets of a replay.

        `edited` replaces the event, `to` its channels.

        Raises:
            EventError: It is still not an event, or its channel is gone; the message says what to do.
            UnroutableError: It still goes nowhere.
        """
        keys, fields = Keys(dead_letter.stream), dead_letter.fields
        if edited is None and fields.get("stage") == RECORDER:
            if to is not None:
                raise EventError(
                    "channel",
                    "stays as it is: the card was posted, only its record is missing; replay it without --to",
                )
            return [(keys.outcomes, {"outcome": dead_letter.raw})]
        if edited is None and fields.get("stage") == "delivery":
            try:
                notification = decode(dead_letter.raw.encode())
            except ValueError:
                raise EventError("event", "is not a notification; discard it") from None
            return [_lane(keys, self._redirected(_with_history(notification, dead_letter), to))]
        if edited is None and fields.get("reason") == Reason.UNSIGNED:
            raise EventError(
                "signature",
                "is missing or wrong; let its producer publish it again, or check it yourself, then replay it with --edit",
            )
        try:
            event = self._event(dead_letter, edited)
            data = mask_event_data(event.data, self.masking)
        except (ValueError, RecursionError):
            # Whoever may write to Redis can write anything; the others are replayed.
            raise EventError("event", "cannot be read; replay it with --edit") from None
        if to is not None:
            event = replace(event, stakeholders=(to,))
        routed = self.catalogue.route(event, data)
        if routed.unknown_channels:
            raise EventError(
                "stakeholders",
                f"unknown channel {', '.join(routed.unknown_channels)}; add it to [channels] or replay with --edit",
            )
        return [_lane(keys, _with_history(each, dead_letter)) for each in routed.notifications]

    def _redirected(self, notification: Notification, to: str | None) -> Notification:
        """Return it for the channel `to`; raises EventError if that is unknown."""
        channel = to or notification.channel
        if channel not in self.catalogue.channels:
            raise EventError(
                "channel",
                f"{channel} is not in the configuration; add it to [channels], or send it elsewhere: --to CHANNEL",
            )
        if channel == notification.channel:
            return notification
        return replace(
            notification,
            id=notification_id(notification.stream, notification.event_id, channel),
            channel=channel,
            stakeholders=(channel,),
            tried_before=0,
        )

    def _event(self, dead_letter: DeadLetter, edited: Mapping[str, JsonValue] | None) -> Event:
        stream, entry_id = dead_letter.stream, dead_letter.fields.get("source_id") or "0-0"
        if edited is not None:
            return to_event(stream, entry_id, edited)
        try:
            kept: Any = exact_json(dead_letter.raw)
        except ValueError:
            raise EventError("event", "is not JSON; replay it with --edit") from None
        if nested_deeper(kept, _DEEPEST):
            raise EventError("event", "is nested too deeply; replay it with --edit")
        if isinstance(kept, dict) and isinstance(kept.get("event"), dict):
            return to_event(stream, entry_id, kept["event"])
        if isinstance(kept, dict) and isinstance(kept.get("fields"), dict):
            raw = {name.encode(): _bytes(value) for name, value in kept["fields"].items()}
            event = parse_entry(stream, entry_id, raw, max_bytes=self.max_event_bytes)
            if is_own(event):
                raise EventError(
                    "signature",
                    "was not checked, and only notifier itself publishes such events; check it yourself, then replay it with --edit",
                )
            return event
        raise EventError("event", "is not the event of an entry; replay it with --edit")


def _bytes(value: JsonValue) -> bytes:
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        return base64.b64decode(str(value["base64"]))
    return str(value).encode()


def _with_history(notification: Notification, dead_letter: DeadLetter) -> Notification:
    """Return the notification with its earlier ending and attempts."""
    fields = dead_letter.fields
    ending = Ending(
        dead_at=fields.get("dead_at", ""),
        reason=fields.get("reason", ""),
        detail=fields.get("detail", ""),
    )
    tried = notification.tried_before + dead_letter.count("attempts")
    return replace(
        notification,
        tried_before=min(tried, MOST_TRIES),
        endings=(*notification.endings, ending)[-_KEPT_ENDINGS:],
    )


def _lane(keys: Keys, notification: Notification) -> Target:
    lane = keys.lane(notification.channel, urgent=notification.priority.urgent)
    return lane, {"notification": encode(notification)}


@dataclass(frozen=True, slots=True)
class Replayed:
    """The streams of a replay, and whether this call added to them."""

    places: tuple[str, ...]
    done: bool
    """False: another replayed or discarded it a moment before."""


@dataclass(frozen=True, slots=True)
class DeadLetterService:
    """Replays and discards dead letters; safe to repeat."""

    streams: Streams
    log: DeadLetterAudit
    replayer: Replayer

    async def places(
        self,
        dead_letter: DeadLetter,
        edited: Mapping[str, JsonValue] | None = None,
        to: str | None = None,
    ) -> tuple[str, ...]:
        """Return the streams that a replay would add to; raises as it."""
        targets = await self._targets(dead_letter, edited, to)
        return tuple(stream for stream, _ in targets)

    async def replay(
        self,
        dead_letter: DeadLetter,
        *,
        who: str,
        why: str | None,
        edited: Mapping[str, JsonValue] | None = None,
        to: str | None = None,
    ) -> Replayed:
        """Replay a dead letter.

        `edited` replaces the event, `to` its channels.

        Raises:
            EventError: It is still not an event, its channel is gone, or `to` has had it already.
            UnroutableError: It still goes nowhere.
            StoreError: Postgres is away; the message says whether anything was done.
            StreamError: Redis is away; asking again is safe.
        """
        targets = await self._targets(dead_letter, edited, to)
        became = (EventIds(n.event_id, n.correlation_id) for n in _notifications(targets))
        noted = await self.log.note(
            masked(dead_letter, self.replayer.masking), action="replay", who=who, why=why, edited=edited is not None,
            became=next(became, None),
        )  # fmt: skip
        done = await self._take_out(dead_letter, targets)
        await self.log.settle(noted, done=done)
        return Replayed(tuple(stream for stream, _ in targets), done)

    async def discard(self, dead_letter: DeadLetter, *, who: str, why: str) -> bool:
        """Remove a dead letter; False if it was gone already.

        Raises:
            StoreError: Postgres is away; the message says whether anything was done.
            StreamError: Redis is away; asking again is safe.
        """
        noted = await self.log.note(
            masked(dead_letter, self.replayer.masking), action="discard", who=who, why=why
        )
        done = await self._take_out(dead_letter, [])
        await self.log.settle(noted, done=done)
        return done

    async def _take_out(self, dead_letter: DeadLetter, targets: Sequence[Target]) -> bool:
        dead = Keys(dead_letter.stream).dead
        [result] = await self.streams.move(dead, [Move(dead, dead_letter.id, tuple(targets))])
        return result is MoveResult.MOVED

    async def _targets(
        self, dead_letter: DeadLetter, edited: Mapping[str, JsonValue] | None, to: str | None
    ) -> list[Target]:
        targets = self.replayer.targets(dead_letter, edited, to)
        if to is not None:
            ids = [notification.id for notification in _notifications(targets)]
            if await self.log.delivered(ids, since=datetime(1970, 1, 1, tzinfo=UTC)):
                raise EventError(
                    "channel", "has had this event already; discard the dead letter"
                )
        return targets


def _notifications(targets: Sequence[Target]) -> list[Notification]:
    texts = [fields["notification"] for _, fields in targets if "notification" in fields]
    return [decode(text if isinstance(text, bytes) else text.encode()) for text in texts]
