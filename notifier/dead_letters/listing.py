"""Find dead letters: in pages, all of them, or one by its id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from notifier.broker.entries import fields_of, id_number
from notifier.broker.keys import Keys
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams
from notifier.dead_letters.model import DeadLetter
from notifier.errors import NotifierError

_SCAN = Script.read(__package__, "scan")
_PAGE = 200
_LOOKS = 2_000


class NoSuchDeadLetterError(NotifierError):
    """There is no dead letter of this id."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The wanted dead letters, also by the time when they were written."""

    reason: str | None = None
    channel: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields that a dead letter must have."""
        names = ("reason", "channel", "event_type")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def ids(self) -> tuple[str, str]:
        """Return the range of ids that are meant, as XRANGE takes it."""
        return (
            "-" if self.since is None else f"{_ms(self.since)}-0",
            "+" if self.until is None else f"({_ms(self.until)}-0",
        )


@dataclass(frozen=True, slots=True)
class Place:
    """The end of a page: an entry of one of the streams."""

    id: str
    stream: str


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Some dead letters without their events; `next` is None at the end."""

    dead_letters: tuple[DeadLetter, ...]
    next: Place | None


async def dead_letter_page(
    streams: Streams,
    names: Sequence[str],
    wanted: Filter,
    *,
    after: Place | None = None,
    newest_first: bool = True,
    limit: int,
    looks: int = _LOOKS,
) -> DeadLetterPage:
    """Return up to `limit` wanted dead letters of these event streams.

    It looks at up to `looks` of each.

    A page may be short or empty and still not be the end: none was found as far as it looked.

    Raises:
        StreamError: Redis is away.
    """
    found: list[tuple[_Order, DeadLetter]] = []
    horizon: _Order | None = None
    for number, stream in enumerate(names):
        ends = _ends(wanted, after, number, names, newest_first)
        scan = await _scan(streams, stream, ends, wanted, newest_first=newest_first, limit=limit, looks=looks)  # fmt: skip
        found += [
            (_order_of(each.id, number, newest_first), each) for each in scan.dead_letters
        ]
        if not scan.complete:
            # This stream is not known from here on, so nothing behind it may be shown of the others.
            seen = _order_of(scan.last, number, newest_first)
            horizon = seen if horizon is None else min(horizon, seen)
    found = sorted(
        (each for each in found if horizon is None or each[0] <= horizon),
        key=lambda each: each[0],
    )
    end = horizon
    if len(found) > limit:
        found = found[:limit]
        end = found[-1][0]
    sign = -1 if newest_first else 1
    place = None if end is None else Place(f"{sign * end[0]}-{sign * end[1]}", names[end[2]])
    return DeadLetterPage(tuple(dead_letter for _, dead_letter in found), place)


async def newest_dead_letters(
    streams: Streams, names: Sequence[str], wanted: Filter, *, limit: int
) -> list[DeadLetter]:
    """Return the newest wanted dead letters, without their events.

    Raises:
        StreamError: Redis is away.
    """
    found: list[DeadLetter] = []
    after = None
    while len(found) < limit:
        left = limit - len(found)
        page = await dead_letter_page(streams, names, wanted, after=after, limit=left)
        found += page.dead_letters
        after = page.next
        if after is None:
            break
    return found


async def with_events(streams: Streams, dead_letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return dead letters with their events, without those gone meanwhile.

    Raises StreamError.
    """
    found = [await _read(streams, each.stream, each.id) for each in dead_letters]
    return [each for each in found if each is not None]


async def every_dead_letter(
    streams: Streams, names: Sequence[str], wanted: Filter
) -> AsyncIterator[DeadLetter]:
    """Yield the wanted dead letters with their events, oldest first.

    Those that are added meanwhile are not among them.

    Raises:
        StreamError: Redis is away.
    """
    for stream in names:
        newest = await streams.newest(Keys(stream).dead, count=1)
        if not newest:
            continue
        last = id_number(newest[0][0])
        start, stop = wanted.ids
        complete = False
        while not complete:
            scan = await _scan(streams, stream, (start, stop), wanted, newest_first=False, limit=_PAGE, looks=_LOOKS)  # fmt: skip
            complete, start = scan.complete, f"({scan.last}"
            for dead_letter in scan.dead_letters:
                if id_number(dead_letter.id) > last:
                    complete = True
                elif (whole := await _read(streams, stream, dead_letter.id)) is not None:
                    yield whole


async def find_dead_letter(
    streams: Streams, names: Sequence[str], dead_letter_id: str
) -> DeadLetter:
    """Return one dead letter of these event streams, whole.

    Raises:
        NoSuchDeadLetterError: None of the streams has it.
        StreamError: Redis is away.
    """
    for stream in names:
        if (dead_letter := await _read(streams, stream, dead_letter_id)) is not None:
            return dead_letter
    raise NoSuchDeadLetterError(
        f"there is no dead letter {dead_letter_id}; see: notifier dlq list"
    )


async def chosen_dead_letters(
    streams: Streams, names: Sequence[str], ids: Sequence[str], wanted: Filter
) -> AsyncIterator[DeadLetter]:
    """Yield the dead letters of these ids, or all wanted ones without ids.

    Raises:
        NoSuchDeadLetterError: One of the ids is unknown; nothing was yielded.
        StreamError: Redis is away.
    """
    if not ids:
        async for dead_letter in every_dead_letter(streams, names, wanted):
            yield dead_letter
        return
    for dead_letter in [await find_dead_letter(streams, names, each) for each in ids]:
        yield dead_letter


async def count_dead_letters(streams: Streams, names: Sequence[str]) -> int:
    """Count the dead letters of these event streams; raises StreamError."""
    return sum([await streams.length(Keys(name).dead) for name in names])


async def _read(streams: Streams, stream: str, dead_letter_id: str) -> DeadLetter | None:
    entry = await streams.entry(Keys(stream).dead, dead_letter_id)
    if entry is None:
        return None
    fields = _texts(entry)
    raw = fields.pop("event", "")
    return DeadLetter(dead_letter_id, stream, fields, raw)


class _Scan(NamedTuple):
    complete: bool
    """Whether it came to the end."""
    last: str
    """The last entry that was read; empty when there was none."""
    dead_letters: list[DeadLetter]


async def _scan(
    streams: Streams,
    stream: str,
    ends: tuple[str, str],
    wanted: Filter,
    *,
    newest_first: bool,
    limit: int,
    looks: int,
) -> _Scan:
    command = "XREVRANGE" if newest_first else "XRANGE"
    pairs = [text for pair in wanted.fields.items() for text in pair]
    argv = [command, *ends, limit, looks, *pairs]
    complete, last, found = await streams.run(_SCAN, [Keys(stream).dead], argv)
    dead_letters = [
        DeadLetter(each.decode(), stream, _texts(fields_of(flat))) for each, flat in found
    ]
    return _Scan(bool(complete), last.decode(), dead_letters)


_Order = tuple[int, int, int]


def _order_of(dead_letter_id: str, number: int, newest_first: bool) -> _Order:
    ms, seq = id_number(dead_letter_id)
    return (-ms, -seq, number) if newest_first else (ms, seq, number)


def _ends(
    wanted: Filter,
    after: Place | None,
    number: int,
    names: Sequence[str],
    newest_first: bool,
) -> tuple[str, str]:
    oldest, newest = wanted.ids
    if after is not None:
        # Two streams may have the same id; the streams' order decides which comes first.
        shown = after.stream not in names or number <= names.index(after.stream)
        edge = f"({after.id}" if shown else after.id
        if newest_first:
            newest = edge
        else:
            oldest = edge
    return (newest, oldest) if newest_first else (oldest, newest)


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in fields.items()
    }
