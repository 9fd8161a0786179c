"""Replay the events of a time range where they were not delivered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from notifier.broker.keys import Keys
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.dead_letters.audit import DeadLetterAudit
from notifier.errors import NotifierError
from notifier.events.entry import Event, parse_entry, with_believed_time
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import Notification, encode
from notifier.events.producer_signature import Signers, is_own, unpacked
from notifier.events.routing import Catalogue

_BATCH = 5_000
_BATCH_BYTES = 16 * 2**20
"""Notifications in memory at a time, by number and by the bytes of their events: a range may hold millions."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EventRange:
    """The filter of events; None matches any."""

    since: datetime | None
    until: datetime | None
    event_type: str | None = None
    channel: str | None = None

    def takes(self, notification: Notification) -> bool:
        """Tell whether a notification's type and channel are meant."""
        return self.event_type in (None, notification.event_type) and (
            self.channel in (None, notification.channel)
        )


class Batch(NamedTuple):
    """Some notifications of a range."""

    undelivered: list[Notification]
    """To be replayed: delivered never, waiting nowhere."""
    left_alone: int
    """How many others there were."""


class RangeReplay:
    """One replay of a range.

    Args:
        streams: The connection to Redis.
        log: Records who replays what.
        config: Routes, channels and masking by which events are read again.
        find_signers: Gives the keys of producers; called only when a signature matters.
        force: Replay also notifications that were delivered before this replay began, or discarded.
    """

    def __init__(
        self,
        streams: Streams,
        log: DeadLetterAudit,
        config: Config,
        find_signers: Callable[[], Signers],
        *,
        force: bool,
    ) -> None:
        self._streams = streams
        self._log = log
        self._config = config
        self._force = force
        # This replay's own deliveries count even with force: an event may be met twice.
        self._delivered_since = datetime.now(UTC) if force else _EVER
        self._catalogue = Catalogue(config.routes, config.channels)
        self._masking = Masking.of(config.masking.fields, config.masking.exempt)
        self._find_signers = find_signers
        self._signers: Signers | None = None

    async def batches(self, wanted: EventRange) -> AsyncIterator[Batch]:
        """Yield the notifications of the range, a bounded number at a time.

        Raises:
            StreamError: Redis is away.
            StoreError: Postgres is away.
        """
        for stream in self._config.streams:
            found: dict[str, Notification] = {}
            size = 0
            async for event_bytes, notification in self._notifications(stream, wanted):
                size += 0 if notification.id in found else event_bytes
                found.setdefault(notification.id, notification)
                if len(found) >= _BATCH or size >= _BATCH_BYTES:
                    yield await self._batch(stream, found)
                    found, size = {}, 0
            if found:
                yield await self._batch(stream, found)

    async def replay(self, notification: Notification, *, who: str, why: str | None) -> None:
        """Put a notification into its lane, recorded first.

        Raises:
            StreamError: Redis is away; it may be in its lane all the same.
            StoreError: Postgres is away, and nothing was done.
        """
        stream, channel = notification.stream, notification.channel
        record = {
            "stream": stream, "id": f"event {notification.entry_id} {channel}", "reason": "replay --since",
            "channel": channel, "event_type": notification.event_type, "event_id": notification.event_id,
            "correlation_id": notification.correlation_id, "notification_id": notification.id,
        }  # fmt: skip
        noted = await self._log.note(record, action="replay", who=who, why=why)
        lane = Keys(stream).lane(channel, urgent=notification.priority.urgent)
        await self._streams.add_once(lane, {"notification": encode(notification).decode()})
        await self._log.settle(noted, done=True)

    async def _batch(self, stream: str, found: Mapping[str, Notification]) -> Batch:
        undelivered = await self._undelivered(stream, set(found))
        if not self._force and undelivered:
            event_ids = {each: found[each].event_id for each in undelivered}
            undelivered -= await self._log.discarded(event_ids)
        return Batch(
            [each for each in found.values() if each.id in undelivered],
            len(found) - len(undelivered),
        )

    async def _notifications(
        self, stream: str, wanted: EventRange
    ) -> AsyncIterator[tuple[int, Notification]]:
        """Yield the notifications of acknowledged events, with event sizes."""
        required = self._config.intake.require_signature
        trusted = self._known_signers() if required else Signers(required=False)
        floor = await self._streams.floor(stream)
        async for entry in self._streams.entries_between(stream, wanted.since, wanted.until):
            fields = entry.fields or {}
            # Intake will route the events that it has not acknowledged.
            if not floor.passed(entry.id) or trusted.fault(fields):
                continue
            try:
                routed = self._routed(stream, entry.id, fields)
            except NotifierError:
                # It is a dead letter, which has a command of its own.
                continue
            size = sum(len(value) for value in fields.values())
            for notification in routed:
                if wanted.takes(notification):
                    yield size, notification

    def _routed(
        self, stream: str, entry_id: str, fields: Mapping[bytes, bytes]
    ) -> tuple[Notification, ...]:
        """Return an event's notifications; raises NotifierError if it has none."""
        most = self._config.intake.max_event_bytes
        event = parse_entry(stream, entry_id, fields, max_bytes=most)
        event = with_believed_time(event, datetime.now(UTC))
        if is_own(event):
            if self._is_forged(event, fields):
                return ()
            event = unpacked(event, believed=True)
        data = mask_event_data(event.data, self._masking)
        return tuple(self._catalogue.route(event, data).notifications)

    def _known_signers(self) -> Signers:
        if self._signers is None:
            self._signers = self._find_signers()
        return self._signers

    def _is_forged(self, event: Event, fields: Mapping[bytes, bytes]) -> bool:
        """Tell whether notifier's own event lacks a signature that can be checked."""
        trusted = self._known_signers()
        return trusted.own is None or bool(
            trusted.own_fault(
                event,
                fields,
                now=datetime.now(UTC),
                fresh_seconds=self._config.intake.event_ttl_seconds,
            )
        )

    async def _undelivered(self, stream: str, ids: set[str]) -> set[str]:
        """Return those neither waiting, nor dead letters, nor delivered."""
        left = ids - await self._log.delivered(list(ids), since=self._delivered_since)
        keys = Keys(stream)
        # In the order in which a notification moves: one that moves on meanwhile is met further on.
        for channel in self._config.channels:
            for urgent in (True, False):
                lane = keys.lane(channel, urgent=urgent)
                await self._take_out(lane, b"notification", left)
        await self._take_out(keys.dead, b"notification_id", left)
        await self._take_out(keys.outcomes, b"outcome", left)
        if left:
            left -= await self._log.delivered(list(left), since=self._delivered_since)
        return left

    async def _take_out(self, stream: str, field: bytes, left: set[str]) -> None:
        """Remove from `left` the notifications that a stream holds."""
        if not left:
            return
        async for entry in self._streams.entries_between(stream):
            text = (entry.fields or {}).get(field, b"")
            left.discard(text.decode() if field == b"notification_id" else _id_in(text) or "")


def _id_in(text: bytes) -> str | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return str(record.get("id")) if isinstance(record, dict) else None
