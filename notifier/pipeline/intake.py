"""First stage: turn each event into notifications or a dead letter."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from msgspec.structs import replace
from pydantic import JsonValue

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.broker.hop import Move
from notifier.broker.keys import Keys
from notifier.config.models import IntakeSettings, RedisSettings
from notifier.dead_letters.model import (
    Reason,
    legible,
    of_entry,
    poison_detail,
    raw_fields,
    shortened_fields,
)
from notifier.errors import EventError
from notifier.events.entry import Event, parse_entry, size_bytes, too_large, with_believed_time
from notifier.events.json import to_json_bytes
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import encode
from notifier.events.producer_signature import Signers, is_own, unpacked
from notifier.events.routing import Catalogue, UnroutableError
from notifier.pipeline.decision import Decision, report
from notifier.pipeline.spans import intake_span
from notifier.pipeline.stage import BatchSizer, StreamReader, in_order, still_there
from notifier.telemetry import metrics
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Span, Spans

log = structlog.get_logger(__name__)

_BYTES_IN_FLIGHT = 8 * 2**20
"""Most notifications on their way into lanes, and the aim of one read.

An event counts once for each of its channels.
"""
_LARGEST_KEPT = 4
"""Times intake.max_event_bytes: what a dead letter keeps whole."""

_BYTES_AT_ONCE = 128 * 2**10
"""Of entries that are decided before they are hopped: deciding continues without a pause, and takes longer the more there is."""


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """By what an intake decides; a reload replaces them as a whole."""

    catalogue: Catalogue
    masking: Masking
    settings: IntakeSettings
    signers: Signers


class Intake:
    """Reads one event stream."""

    def __init__(
        self,
        group: Consumer,
        stream: str,
        rules: IntakeRules,
        *,
        redis_settings: RedisSettings,
        now: Callable[[], datetime],
        spans: Spans | None = None,
    ) -> None:
        self.rules = rules
        """May be changed: others count from the next entry on."""
        self._group = group
        self._stream = stream
        self._keys = Keys(stream)
        self._spans = spans
        self._max_deliveries = redis_settings.max_deliveries
        self._now = now
        self._reader = StreamReader(group, stream, redis_settings)
        self._entries: deque[Entry] = deque()
        """Read, not decided."""
        self._batch: list[Decision] = []
        """Decided, not hopped."""
        self._size = BatchSizer(
            most_bytes=_BYTES_IN_FLIGHT, entry_bytes=rules.settings.max_event_bytes
        )

    async def step(self) -> int:
        """Read one batch and hop it; returns how many entries were read."""
        # A hop continues when Redis is full; more lanes must not take what deliveries need to empty them.
        await self._group.require_room(self._stream)
        entries: list[Entry] = []
        if not self._batch and not self._entries:
            entries = await self._reader.read(
                self._size.count(self.rules.settings.batch), largest_bytes=self._largest_bytes
            )
            self._entries.extend(in_order(still_there(entries)))
            self._size.learn(entries)
        await self._work()
        return len(entries)

    @property
    def _largest_bytes(self) -> int:
        """Return the most bytes of a large entry that a dead letter keeps.

        Such an entry can be replayed under another limit.
        """
        return _LARGEST_KEPT * self.rules.settings.max_event_bytes

    async def _work(self) -> None:
        """Decide and hop entries in order; entries of a failed hop go first."""
        while self._batch or self._entries:
            if not self._batch and self._entries[0].goes_alone(self._max_deliveries):
                entry = self._entries[0]
                async with self._group.trial(entry) as ours:
                    if ours:
                        self._batch.append(self.decide(entry, entry.fields or {}))
                        await self._hop_batch()
                self._entries.popleft()
                return  # each is one step: many of them must not look like a stage that hangs
            if not self._batch:
                self._decide_batch()
            await self._hop_batch()

    def _decide_batch(self) -> None:
        size = read = 0
        while self._entries and size < _BYTES_IN_FLIGHT:
            entry = self._entries[0]
            fields = entry.fields or {}
            read += size_bytes(fields)
            # The loop has other work than large events.
            if self._batch and (
                read > _BYTES_AT_ONCE or entry.goes_alone(self._max_deliveries)
            ):
                return
            self._entries.popleft()
            decision = self.decide(entry, fields)
            self._batch.append(decision)
            size += decision.size_bytes

    async def _hop_batch(self) -> None:
        batch = self._batch
        moves = [decision.move for decision in batch]
        results = await self._group.hop(moves)
        self._batch = []
        now = self._now()
        await self._reader.put_back_refused(moves, results)
        words: Counter[str] = Counter()
        debug = log.is_enabled_for(logging.DEBUG)
        for decision, result in zip(batch, results, strict=True):
            word = report(decision, result, now, debug=debug)
            words[word] += 1
            if decision.span is not None:
                decision.span.end(
                    {"notifier.result": word},
                    error=decision.dead.value if decision.dead else None,
                )
        for word, count in words.items():
            metrics.EVENTS_BY(self._stream, word).inc(count)

    def decide(self, entry: Entry, fields: Mapping[bytes, bytes]) -> Decision:
        """Decide where an entry goes, without I/O and without exceptions."""
        try:
            return self._decided(entry, fields)
        except Exception as exc:
            why = log_unforeseen("event_failed", exc, entry_id=entry.id, stream=self._stream)
            return self._bury_unread(entry, Reason.INTERNAL_ERROR, why, fields)

    def _decided(self, entry: Entry, fields: Mapping[bytes, bytes]) -> Decision:
        rules = self.rules
        if entry.withheld_bytes:
            fault = too_large(entry.withheld_bytes, rules.settings.max_event_bytes)
            return self._bury_unread(entry, Reason.INVALID_EVENT, str(fault), fields)
        # Before all else: a dead letter of another reason can be replayed without its signature.
        unsigned = rules.signers.fault(fields)
        if unsigned:
            return self._bury_unread(entry, Reason.UNSIGNED, unsigned, fields)
        if entry.is_poison(self._max_deliveries):
            detail = poison_detail(entry.deliveries)
            return self._bury_unread(entry, Reason.POISON, detail, fields)
        try:
            event = parse_entry(
                self._stream, entry.id, fields, max_bytes=rules.settings.max_event_bytes
            )
        except EventError as exc:
            return self._bury_unread(entry, Reason.INVALID_EVENT, str(exc), fields)
        event = with_believed_time(event, self._now())
        if is_own(event):
            forged = rules.signers.own_fault(
                event,
                fields,
                now=self._now(),
                fresh_seconds=rules.settings.event_ttl_seconds,
            )
            if forged:
                body = raw_fields(fields)
                buried = self._bury(entry, Reason.UNSIGNED, forged, body, _known(event))
                return buried._replace(event=event)
            event = unpacked(event, believed=rules.signers.own is not None)
        if self._spans is None:
            return self._routed(entry, event)
        span = intake_span(self._spans, event)
        traced = replace(event, traceparent=span.traceparent)
        return self._routed(entry, traced, span)

    def _routed(self, entry: Entry, event: Event, span: Span | None = None) -> Decision:
        """Say where an event goes."""
        data = mask_event_data(event.data, self.rules.masking)
        try:
            routed = self.rules.catalogue.route(event, data)
        except UnroutableError as exc:
            body = _event_json(event, data)
            buried = self._bury(entry, Reason.UNROUTABLE, str(exc), body, _known(event))
            return buried._replace(event=event, span=span)
        targets: list[tuple[str, Mapping[str, str | bytes]]] = [
            (
                self._keys.lane(item.channel, urgent=item.priority.urgent),
                {"notification": encode(item)},
            )
            for item in routed.notifications
        ]
        dead = None
        if routed.unknown_channels:
            dead = Reason.UNKNOWN_CHANNEL
            detail = f"stakeholders: unknown channel {', '.join(routed.unknown_channels)}; add it to [channels] or correct the event"
            body = _event_json(event, data, stakeholders=routed.unknown_channels)
            dead_letter = self._dead_letter(entry, dead, detail, body, _known(event))
            targets.append((self._keys.dead, dead_letter))
        move = Move(
            self._stream,
            entry.id,
            tuple(targets),
            delete=False,
            # An event without an id of its producer has that of its entry, which cannot come twice.
            mark=self._keys.seen(event.id) if event.id != entry.id else None,
            mark_seconds=self.rules.settings.event_ttl_seconds,
        )
        return Decision(move, event, dead, notifications=routed.notifications, span=span)

    def _bury_unread(
        self, entry: Entry, reason: Reason, detail: str, fields: Mapping[bytes, bytes]
    ) -> Decision:
        """Bury an entry that did not become an event, with its legible fields."""
        known = legible(fields)
        signer = self.rules.signers.signer(fields)
        if signer is not None:
            known["signer"] = signer
        size = entry.withheld_bytes or size_bytes(fields)
        whole = not entry.withheld_bytes and size <= self._largest_bytes
        body = raw_fields(fields) if whole else shortened_fields(fields, size)
        return self._bury(entry, reason, detail, body, known)

    def _bury(
        self, entry: Entry, reason: Reason, detail: str, body: str, known: Mapping[str, str]
    ) -> Decision:
        dead_letter = self._dead_letter(entry, reason, detail, body, known)
        move = Move(self._stream, entry.id, ((self._keys.dead, dead_letter),), delete=False)
        return Decision(move, None, reason, detail)

    def _dead_letter(
        self, entry: Entry, reason: Reason, detail: str, body: str, known: Mapping[str, str]
    ) -> dict[str, str | bytes]:
        return of_entry(
            "intake",
            reason,
            detail,
            event=body,
            entry=entry,
            at=self._now(),
            known=known,
        )


def _known(event: Event) -> dict[str, str]:
    return {
        "event_type": event.type,
        "event_id": event.id,
        "correlation_id": event.correlation_id,
    }


def _event_json(
    event: Event, data: dict[str, JsonValue], *, stakeholders: tuple[str, ...] | None = None
) -> str:
    wanted = stakeholders or event.stakeholders
    members: dict[str, JsonValue] = {
        "type": event.type,
        "id": event.id,
        "correlation_id": event.correlation_id,
        "time": event.time.isoformat(),
        "priority": event.priority.value if event.priority else None,
        "stakeholders": list(wanted) if wanted else None,
        "lang": event.lang,
        "source": event.source,
        "traceparent": event.traceparent,
        "tracestate": event.tracestate,
        "data": data,
    }
    kept = {name: value for name, value in members.items() if value is not None}
    return to_json_bytes({"event": kept}).decode()
