"""The loop around every stage: step after step, through outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from notifier.broker.consumer import Consumer
from notifier.broker.entries import ALONE, LARGEST_BYTES, Entry
from notifier.broker.hop import HopResult, Move
from notifier.config.models import RedisSettings
from notifier.errors import InternalError, StreamError, UnreachableError
from notifier.events.entry import size_bytes
from notifier.events.notification import Notification, decode
from notifier.telemetry.clock import Every, raise_if_cancelled, sleep_unless_stopped
from notifier.telemetry.health import Health, on_wait
from notifier.telemetry.logs import log_unforeseen

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 1.0
_LONGEST_TRIAL_SECONDS = 1.0
"""A process dies of what an entry holds at once; what takes longer waits for somebody else."""
_LARGE_BYTES = 32 * 2**10
"""Of a notification: between decoding such ones, other tasks run."""
MOST_UNFORESEEN = 10
"""After this many failures in a row, some 25 seconds, the loop and the process end.

Failures of a server do not count.
"""

Waiting = tuple[Entry, Notification]
"""A lane's entry and its notification."""


async def unless_stray(work: Awaitable[Result]) -> Result:
    """Return what the work returns.

    Raises:
        InternalError: It was cancelled, and this task was not: a library let a cancellation of its own out.
    """
    try:
        return await work
    except asyncio.CancelledError as exc:
        raise_if_cancelled()
        raise InternalError("was cancelled, which nobody asked for") from exc


async def run_steps(
    step: Callable[[], Awaitable[object]],
    *,
    component: str,
    stop: asyncio.Event,
    health: Health,
) -> None:
    """Call `step` until `stop`, with growing pauses while a server is away.

    Raises:
        InternalError: A step has failed unforeseen MOST_UNFORESEEN times in a row.
    """
    health.expect(component)
    wait = FIRST_WAIT_SECONDS
    in_a_row = 0

    def beat(seconds: float) -> None:
        # Not when this loop has ended: what it started may continue for a while.
        if component in health.beats:
            health.beat(component, time.monotonic() + seconds)

    on_wait(beat)
    while not stop.is_set():
        raise_if_cancelled()
        health.beat(component, time.monotonic())
        try:
            await unless_stray(step())
        except UnreachableError as exc:
            if health.mark_failed(component, str(exc)):
                log.warning("stage_waiting", stage=component, reason=str(exc))
        except Exception as exc:
            in_a_row += 1
            why = log_unforeseen("stage_failed", exc, stage=component, in_a_row=in_a_row)
            health.mark_failed(component, why)
            if in_a_row >= MOST_UNFORESEEN:
                raise InternalError(f"{component} {why}") from exc
        else:
            wait, in_a_row = FIRST_WAIT_SECONDS, 0
            if health.mark_healthy(component):
                log.info("stage_working", stage=component)
            continue
        await sleep_unless_stopped(stop, wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)
    health.stop_beat(component)


def still_there(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries without lost ones, which the log names.

    They vanished while they were in flight in a dead process.
    """
    found = [entry for entry in entries if entry.fields is not None]
    if len(found) < len(entries):
        log.error(
            "entries_lost",
            entries=[f"{each.stream} {each.id}" for each in entries if each.fields is None],
            fix="something else trims or deletes in this stream (XADD with MAXLEN, XTRIM, XDEL): see that it does not",
        )
    return found


async def decoded(
    entries: Sequence[Entry], unreadable: Callable[[Entry], None]
) -> list[Waiting]:
    """Return a lane's entries with notifications; report unreadable ones."""
    found: list[Waiting] = []
    for entry in entries:
        text = (entry.fields or {}).get(b"notification", b"")
        if len(text) > _LARGE_BYTES:
            await asyncio.sleep(0)
        try:
            found.append((entry, decode(text)))
        except ValueError:
            unreadable(entry)
    return found


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries in order, those that go alone last.

    The likeliest to kill the process is the very last.
    """
    return sorted(entries, key=lambda each: each.deliveries if each.deliveries >= ALONE else 0)


class StreamReader:
    """Read a stream: entries of dead processes first, then new ones."""

    def __init__(self, group: Consumer, stream: str, settings: RedisSettings) -> None:
        self._group = group
        self._stream = stream
        self._settings = settings
        self._claim = Every(settings.lease_seconds / 3, time.monotonic)

    async def read(self, count: int, *, largest_bytes: int = LARGEST_BYTES) -> list[Entry]:
        """Return up to `count` entries; raises StreamError."""
        if self._claim.due():
            claimed = await self._group.claim(
                self._stream,
                idle_seconds=self._settings.lease_seconds,
                count=count,
                largest_bytes=largest_bytes,
            )
            if claimed:
                self._claim.again()
                return claimed
        return await self._group.read(
            [self._stream],
            count=count,
            block_seconds=self._settings.block_seconds,
            largest_bytes=largest_bytes,
        )

    async def put_back_refused(
        self, moves: Sequence[Move], results: Sequence[HopResult]
    ) -> None:
        """Let entries whose move Redis refused be claimed again after a lease."""
        refused = [
            move.entry_id
            for move, result in zip(moves, results, strict=True)
            if result is HopResult.REFUSED
        ]
        if refused:
            # There may be so many that the first can be claimed once more before the last: what is new must not wait for them.
            self._claim.later()
            await self._group.put_back(self._stream, refused)


class BatchSizer:
    """Choose how many entries to read at once, by the size of recent ones.

    Together they probably have at most `most_bytes`.
    """

    def __init__(self, *, most_bytes: int, entry_bytes: float) -> None:
        self._most_bytes = most_bytes
        self._entry_bytes = entry_bytes

    def count(self, most: int) -> int:
        """Return how many to read, `most` at most."""
        return max(1, min(most, int(self._most_bytes / self._entry_bytes)))

    def learn(self, entries: Sequence[Entry]) -> None:
        """Look at what was read."""
        sizes = [size_bytes(entry.fields) for entry in entries if entry.fields]
        if sizes:
            # A large entry raises the estimate at once; small ones lower it gradually.
            self._entry_bytes = max(1.0, *sizes, self._entry_bytes / 2)


class ClaimedError(Exception):
    """Another process has claimed the notification: leave it to that one."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Try one entry alone that processes may have died of.

    The next death then counts for it alone.
    """

    group: Consumer
    entry: Entry
    sleep: Callable[[float], Awaitable[None]] | None = None
    """Waits until Redis is back; None: whoever does the work waits."""

    async def do(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do this work; if the process dies, one death is noted beside the entry.

        Raises:
            StreamError: Redis is away, and this is not to wait for it.
            ClaimedError: The entry is no longer this process's.
        """
        while True:
            working: asyncio.Future[Result] | None = None
            try:
                async with self.group.trial(self.entry) as ours:
                    if not ours:
                        raise ClaimedError
                    working = asyncio.ensure_future(work())
                    await asyncio.wait({working}, timeout=_LONGEST_TRIAL_SECONDS)
            except StreamError:
                if self.sleep is None:
                    raise
                await self.sleep(LOOK_AGAIN_SECONDS)
                continue
            except asyncio.CancelledError:
                if working is not None:
                    working.cancel()
                raise
            return await working
