"""Third stage: write outcomes into Postgres in batches, then remove them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog

from notifier.broker.consumer import Consumer
from notifier.broker.entries import ALONE, Entry
from notifier.broker.hop import Move
from notifier.broker.keys import Keys
from notifier.broker.leases import Leases
from notifier.config.models import RecorderSettings, RedisSettings
from notifier.dead_letters.model import RECORDER, Reason, of_entry, poison_detail
from notifier.errors import OutcomeError, SchemaError, StatementTimeoutError, UnreachableError
from notifier.events.entry import Priority
from notifier.events.json import to_json_bytes, without_nul
from notifier.pipeline.spans import record_spans
from notifier.pipeline.stage import (
    Alone,
    BatchSizer,
    ClaimedError,
    StreamReader,
    in_order,
    still_there,
)
from notifier.store.database import Database, KeptConnection, json_parameter, load_queries
from notifier.store.migrations import missing_migrations
from notifier.telemetry import metrics
from notifier.telemetry.logs import log_unforeseen
from notifier.telemetry.tracing import Spans

_GATHER_SECONDS = 0.05
"""After a batch that was not full: what ends meanwhile shares the next transaction. Nobody waits for a row."""

_LATEST_SECONDS = 4e9
"""In the year 2096: an id beyond it was made up, and no calendar can hold the highest."""

_BYTES_IN_FLIGHT = 8 * 2**20
_OUTCOME_BYTES = 16_000
"""Attempts that one has at first; most have fewer."""

_QUERIES = load_queries(__package__, "recorder.sql")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FirstCheck:
    """When new rows of one priority are checked: after a time, or at a moment."""

    priority: Priority
    after_seconds: float | None = None
    at: datetime | None = None

    def fields(self) -> dict[str, str | float | None]:
        """Return it as JSON."""
        at = self.at.isoformat() if self.at else None
        return {"priority": self.priority.value, "after_seconds": self.after_seconds, "at": at}


class AuditTrail:
    """Writes outcomes over one connection; not for two tasks at once."""

    def __init__(self, database: Database) -> None:
        self._connection = KeptConnection(database)

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        await self._connection.close()

    async def check_schema(self) -> None:
        """Check that all migrations that this version needs are applied.

        Raises:
            SchemaError: One is missing.
            StoreError: Postgres is away.
        """
        async with self._connection.use() as connection:
            missing = await missing_migrations(connection)
        if missing:
            raise SchemaError(
                f"the database at {self._connection.shown} lacks {', '.join(missing)}; run: notifier migrate up"
            )

    async def record(
        self,
        outcomes: Sequence[bytes],
        *,
        store_cards: bool,
        arrived: Sequence[float],
        checks: Sequence[FirstCheck],
    ) -> None:
        """Write a batch of outcomes in one transaction; safe to repeat.

        Args:
            outcomes: Each is a JSON text.
            store_cards: Whether the cards are kept.
            arrived: When Redis took each outcome, in Unix seconds.
            checks: When the escalation scheduler checks new rows.

        Raises:
            StoreError: Postgres is away; try the same batch again.
            OutcomeError: Postgres refuses the data of one of them, or all of them together are too much for it.
        """
        array = without_nul(b"[" + b",".join(outcomes) + b"]")
        parameters = {
            "outcomes": json_parameter(array),
            "store_cards": store_cards,
            "arrived": list(arrived),
            "checks": json_parameter(to_json_bytes([check.fields() for check in checks])),
        }
        async with self._connection.use() as connection:
            await connection.run(_QUERIES["record"], parameters)


class Recorder:
    """Reads one event stream's outcomes."""

    def __init__(
        self,
        group: Consumer,
        stream: str,
        *,
        store: AuditTrail,
        leases: Leases,
        settings: RecorderSettings,
        redis_settings: RedisSettings,
        checks: Callable[[datetime], Sequence[FirstCheck]],
        now: Callable[[], datetime],
        spans: Spans | None = None,
    ) -> None:
        """Take the dependencies.

        `checks` returns when the escalation scheduler checks rows that wait since a time.
        """
        self._group = group
        self._keys = Keys(stream)
        self._store = store
        self._leases = leases
        self._settings = settings
        self._max_deliveries = redis_settings.max_deliveries
        self._checks = checks
        self._now = now
        self._spans = spans
        self._reader = StreamReader(group, self._keys.outcomes, redis_settings)
        self._in_flight: list[Entry] = []
        self._most = settings.batch
        self._full = False
        """The last read found as many as it had asked for."""
        self._size = BatchSizer(most_bytes=_BYTES_IN_FLIGHT, entry_bytes=_OUTCOME_BYTES)

    def use(self, settings: RecorderSettings) -> None:
        """Continue with other settings from the next batch on."""
        self._settings = settings

    async def step(self) -> int:
        """Record one batch; a batch that Postgres refuses stays in flight.

        One that ran into the statement timeout is tried in halves: a whole one would run into it every time. From then on
        batches grow again step by step.
        """
        if not self._in_flight:
            self._in_flight = [
                entry
                for entry in await self._next()
                if self._leases.hold(entry.stream, entry.id)
            ]
        entries = self._batch()
        if not entries:
            return 0
        began_ns = time.time_ns() if self._spans is not None else 0
        try:
            moves = await self._moves(entries)
        except StatementTimeoutError:
            self._most = max(1, len(entries) // 2)
            raise
        results = await self._group.hop(moves)
        for entry in entries:
            self._leases.drop(entry.stream, entry.id)
        # A dead letter, for whose key Redis refuses it.
        await self._reader.put_back_refused(moves, results)
        self._in_flight = self._in_flight[len(entries) :]
        if self._spans is not None:
            record_spans(self._spans, entries, began_ns=began_ns)
        self._most = min(self._settings.batch, self._most + 1 + self._most // 10)
        self._measure(entries)
        log.debug("outcomes_recorded", count=len(entries))
        if not self._in_flight and not self._full:
            await asyncio.sleep(_GATHER_SECONDS)
        return len(entries)

    def _batch(self) -> list[Entry]:
        """Return the next transaction: one outcome alone, or those before it."""
        entries = self._in_flight[: self._most]
        alone = [each.deliveries >= ALONE for each in entries]
        return entries[: max(1, alone.index(True))] if any(alone) else entries

    async def _moves(self, entries: Sequence[Entry]) -> list[Move]:
        """Record entries; returns how they leave their stream."""
        first, most = entries[0], self._max_deliveries
        if first.is_poison(most):
            return [self._bury(first, Reason.POISON, poison_detail(first.deliveries))]
        if not first.goes_alone(most):
            return await self._record(entries)
        try:
            return await Alone(self._group, first).do(partial(self._record, entries))
        except ClaimedError:
            return []

    def _measure(self, entries: Sequence[Entry]) -> None:
        metrics.RECORDED.labels(self._keys.stream).inc(len(entries))
        now_ms = self._now().timestamp() * 1000
        delays = metrics.RECORDER_DELAY.labels(self._keys.stream)
        for entry in entries:
            delays.observe(max(0.0, now_ms / 1000 - _arrived(entry)))

    async def _next(self) -> list[Entry]:
        batch = self._size.count(self._settings.batch)
        entries = await self._reader.read(batch)
        self._full = len(entries) >= batch
        self._size.learn(entries)
        return in_order(still_there(entries))

    async def _record(self, entries: Sequence[Entry]) -> list[Move]:
        large = [
            self._bury(each, Reason.UNRECORDABLE, f"has {each.withheld_bytes} bytes")
            for each in entries
            if each.withheld_bytes
        ]
        if large:
            small = [each for each in entries if not each.withheld_bytes]
            return [*large, *(await self._record(small) if small else [])]
        arrived = [_arrived(entry) for entry in entries]
        try:
            await self._store.record(
                [_outcome(entry) for entry in entries],
                store_cards=self._settings.store_cards,
                arrived=arrived,
                checks=self._checks(datetime.fromtimestamp(min(arrived), UTC)),
            )
        except UnreachableError:
            raise
        except Exception as exc:
            if not isinstance(exc, OutcomeError):
                log_unforeseen("outcomes_failed", exc, count=len(entries))
            if len(entries) == 1:
                refused = isinstance(exc, OutcomeError)
                detail = "Postgres refused this outcome; see the log of the database"
                if not refused:
                    detail = log_unforeseen("outcome_failed", exc, entry_id=entries[0].id)
                reason = Reason.UNRECORDABLE if refused else Reason.INTERNAL_ERROR
                return [self._bury(entries[0], reason, detail)]
            # One is at fault, or they are too much together: halves find that out in few statements.
            half = len(entries) // 2
            return [*await self._record(entries[:half]), *await self._record(entries[half:])]
        return [Move(entry.stream, entry.id) for entry in entries]

    def _bury(self, entry: Entry, reason: Reason, detail: str) -> Move:
        letter = of_entry(
            RECORDER,
            reason,
            detail,
            event=_outcome(entry),
            entry=entry,
            at=self._now(),
        )
        metrics.DEAD_LETTERS.labels(reason.value).inc()
        log.error("outcome_dead_lettered", entry_id=entry.id, reason=reason.value)
        return Move(entry.stream, entry.id, ((self._keys.dead, letter),))


def _arrived(entry: Entry) -> float:
    """Return when Redis got an outcome, in Unix seconds, from its entry id."""
    return min(int(entry.id.partition("-")[0]) / 1000, _LATEST_SECONDS)


def _outcome(entry: Entry) -> bytes:
    return (entry.fields or {}).get(b"outcome", b"{}")
