"""The gauge of critical notifications that nobody took: read from Postgres when somebody scrapes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from notifier.config import Config
from notifier.errors import StoreError
from notifier.escalation.unacknowledged import Unacknowledged, unacknowledged_critical
from notifier.pipeline.stage import Every
from notifier.store.database import Connection
from notifier.telemetry import metrics

_INTERVAL_SECONDS = 15.0
_TIMEOUT_SECONDS = 3.0
_STATEMENT_TIMEOUT_SECONDS = 2.0

log = structlog.get_logger(__name__)


class UnacknowledgedGauge:
    """Asks at most every `interval_seconds`, one question at a time; without an answer there are no such series."""

    def __init__(
        self, config: Callable[[], Config], *, interval_seconds: float = _INTERVAL_SECONDS
    ) -> None:
        self._config = config
        self._due = Every(interval_seconds, time.monotonic)
        self._asking: asyncio.Task[None] | None = None
        database = config().database
        self._connection = Connection(
            database.url,
            connect_timeout_seconds=min(2, database.connect_timeout_seconds),
            statement_timeout_seconds=min(
                _STATEMENT_TIMEOUT_SECONDS, database.statement_timeout_seconds
            ),
        )

    async def observe(self) -> None:
        """Bring the gauges up to date; returns within 3 s, whatever Postgres does."""
        if self._asking is None:
            if not self._due.due():
                return
            self._asking = asyncio.create_task(self._ask())
        asking = self._asking
        # To end a query the driver asks the server, and waits for one that hangs some ten seconds more: nobody shall wait along.
        done, _ = await asyncio.wait({asking}, timeout=_TIMEOUT_SECONDS)
        if not done:
            self._forget("timed out")
            return
        if self._asking is asking:
            self._asking = None
        asking.result()

    async def close(self) -> None:
        """End what is under way and close the connection; safe to repeat."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({self._asking}, timeout=_TIMEOUT_SECONDS)
        await self._connection.close()

    async def _ask(self) -> None:
        within = self._config().escalation.forget_after_seconds
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                found = await unacknowledged_critical(self._connection, within_seconds=within)
        except (StoreError, TimeoutError) as exc:
            await self._connection.close()
            self._forget(str(exc) or "timed out")
        else:
            self._show(found)

    def _show(self, found: Sequence[Unacknowledged]) -> None:
        channels = self._config().channels
        counts: dict[str, tuple[int, float]] = dict.fromkeys(channels, (0, 0.0))
        for each in found:
            name = each.channel if each.channel in channels else metrics.OTHER
            count, oldest = counts.get(name, (0, 0.0))
            counts[name] = (count + each.count, max(oldest, each.oldest_seconds))
        for name, (count, oldest) in counts.items():
            metrics.UNACKNOWLEDGED_CRITICAL.labels(name).set(count)
            metrics.UNACKNOWLEDGED_OLDEST_SECONDS.labels(name).set(oldest)
        metrics.OBSERVED_TIMESTAMP.labels("postgres").set_to_current_time()

    def _forget(self, why: str) -> None:
        metrics.UNACKNOWLEDGED_CRITICAL.clear()
        metrics.UNACKNOWLEDGED_OLDEST_SECONDS.clear()
        log.info("unacknowledged_not_observed", reason=why)
