"""Dead letters: list them and look at one."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import JsonValue

from notifier.broker.consumer import Consumer
from notifier.broker.entries import fields_of
from notifier.broker.keys import Keys
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams
from notifier.cards.redact_links import without_links
from notifier.dead_letters.model import RECORDER
from notifier.errors import NotifierError
from notifier.events.json import exact_json, nested_deeper, to_json_bytes
from notifier.events.masking import Masking, mask_event_data
from notifier.events.masking_raw import mask_raw_text, mask_raw_texts

_PAGE = 200
_SCAN = Script.read(__package__, "scan")
_SHOWN_RAW = 2_000
_SCANNED_RAW = 300_000
"""Masking comes before shortening: a value that is cut is not found."""
_DEEPEST = 64
"""What is nested deeper was no event and is shown as text: what goes through it level by level would run out of stack."""


class NoSuchDeadLetterError(NotifierError):
    """There is no dead letter of this id."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant; what is None does not matter."""

    reason: str | None = None
    channel: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields that a letter must have."""
        names = ("reason", "channel", "event_type")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def takes(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is meant; times are those at which it was written."""
        if any(letter.fields.get(name) != value for name, value in self.fields.items()):
            return False
        written = datetime.fromtimestamp(int(letter.id.partition("-")[0]) / 1000, UTC)
        return (self.since is None or written >= self.since) and (
            self.until is None or written < self.until
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; `event` is parsed and masked, or shortened text when it never was JSON."""

    id: str
    stream: str
    fields: dict[str, str]
    event: JsonValue
    raw: str = field(repr=False, compare=False)
    """The event as it was kept, not masked: for replaying only, never for showing."""

    def summary(self) -> dict[str, JsonValue]:
        """Return it for a list: everything but the event."""
        return {"id": self.id, "stream": self.stream, **self.fields}

    def whole(self) -> dict[str, JsonValue]:
        """Return it with its event."""
        return {**self.summary(), "event": self.event}


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list shows of a dead letter: everything but its event."""

    id: str
    stream: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: at an entry of one of the streams."""

    id: str
    stream: str


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Some dead letters, and where to go on; None: that was the end."""

    letters: tuple[Listed, ...]
    next: Place | None


async def dead_letter_page(
    group: Consumer,
    streams: Sequence[str],
    wanted: Filter,
    *,
    after: Place | None = None,
    newest_first: bool = True,
    limit: int,
    looks: int = 2_000,
) -> DeadLetterPage:
    """Return up to `limit` wanted dead letters in their order, having looked at `looks` of each stream at most.

    A page may be short or empty and still not be the end: nothing was found as far as it looked.

    Raises:
        StreamError: Redis is away.
    """
    found: list[tuple[_Order, Listed]] = []
    horizon: _Order | None = None
    for number, stream in enumerate(streams):
        glance = await scan_dead_letters(
            group,
            Keys(stream).dead,
            *_ends(wanted, after, number, streams, newest_first),
            newest_first=newest_first,
            wanted=wanted.fields,
            limit=limit,
            looks=looks,
        )
        found += [
            (_order_of(each, number, newest_first), Listed(each, stream, fields))
            for each, fields in glance.found
        ]
        if not glance.complete:
            # What lies behind here in this stream is not known, so nothing behind it may be shown of the others.
            seen = _order_of(glance.last, number, newest_first)
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
    place = None if end is None else Place(f"{sign * end[0]}-{sign * end[1]}", streams[end[2]])
    return DeadLetterPage(tuple(letter for _, letter in found), place)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The findings of a bounded scan of dead letters."""

    complete: bool
    """Whether it came to the end."""
    last: str
    """The last entry that was looked at; empty when there was none."""
    found: tuple[tuple[str, dict[str, str]], ...]
    """Ids and fields, without the events."""


async def scan_dead_letters(
    streams: Streams,
    dead: str,
    start: str,
    stop: str,
    *,
    newest_first: bool,
    wanted: Mapping[str, str],
    limit: int,
    looks: int,
) -> ScanResult:
    """Look at up to `looks` dead letters between two ids (as XREVRANGE and XRANGE take them) for up to `limit` wanted ones.

    Raises:
        StreamError: Redis is away.
    """
    command = "XREVRANGE" if newest_first else "XRANGE"
    pairs = [text for pair in wanted.items() for text in pair]
    argv = [command, start, stop, limit, looks, *pairs]
    complete, last, found = await streams.run(_SCAN, [dead], argv)
    return ScanResult(
        bool(complete),
        last.decode(),
        tuple((entry_id.decode(), _texts(fields)) for entry_id, fields in found),
    )


def _texts(flat: Sequence[bytes]) -> dict[str, str]:
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in fields_of(flat).items()
    }


_Order = tuple[int, int, int]


def _order_of(letter_id: str, number: int, newest_first: bool) -> _Order:
    ms, seq = _order(letter_id)
    return (-ms, -seq, number) if newest_first else (ms, seq, number)


def _ends(
    wanted: Filter,
    after: Place | None,
    number: int,
    streams: Sequence[str],
    newest_first: bool,
) -> tuple[str, str]:
    oldest = "-" if wanted.since is None else f"{_ms(wanted.since)}-0"
    newest = "+" if wanted.until is None else f"({_ms(wanted.until)}-0"
    if after is not None:
        # Two streams may have the same id; the streams' order decides which comes first.
        shown = after.stream not in streams or number <= streams.index(after.stream)
        edge = f"({after.id}" if shown else after.id
        if newest_first:
            newest = edge
        else:
            oldest = edge
    return (newest, oldest) if newest_first else (oldest, newest)


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


async def list_dead_letters(
    group: Consumer,
    streams: Sequence[str],
    masking: Masking,
    *,
    limit: int,
    wanted: Filter,
) -> list[DeadLetter]:
    """Return the latest dead letters of these event streams that are wanted, newest first.

    Raises:
        StreamError: Redis is away.
    """
    found: list[DeadLetter] = []
    for stream in streams:
        before = "+"
        count = 0
        while count < limit:
            page = await group.newest(Keys(stream).dead, before=before, count=_PAGE)
            for entry_id, fields in page:
                letter = _letter(stream, entry_id, fields, masking)
                if wanted.takes(letter):
                    found.append(letter)
                    count += 1
            if len(page) < _PAGE:
                break
            before = f"({page[-1][0]}"
    found.sort(key=lambda letter: _order(letter.id), reverse=True)
    return found[:limit]


async def every_dead_letter(
    group: Consumer, streams: Sequence[str], masking: Masking, wanted: Filter
) -> AsyncIterator[DeadLetter]:
    """Yield the wanted dead letters, oldest first, page by page; what dies meanwhile is not among them.

    Raises:
        StreamError: Redis is away.
    """
    for stream in streams:
        dead = Keys(stream).dead
        newest = await group.newest(dead, before="+", count=1)
        if not newest:
            continue
        last = _order(newest[0][0])
        async for entry in group.entries_between(dead, wanted.since, wanted.until):
            if _order(entry.id) > last:
                break
            letter = _letter(stream, entry.id, dict(entry.fields or {}), masking)
            if wanted.takes(letter):
                yield letter


def _order(letter_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in letter_id.split("-"))


async def show_dead_letter(
    group: Consumer, streams: Sequence[str], masking: Masking, letter_id: str
) -> DeadLetter:
    """Return one dead letter.

    Raises:
        NoSuchDeadLetterError: None of the streams has it.
        StreamError: Redis is away.
    """
    for stream in streams:
        for entry_id, fields in await group.newest(
            Keys(stream).dead, before=letter_id, count=1
        ):
            if entry_id == letter_id:
                return _letter(stream, entry_id, fields, masking)
    raise NoSuchDeadLetterError(f"there is no dead letter {letter_id}; see: notifier dlq list")


def _letter(
    stream: str, entry_id: str, fields: dict[bytes, bytes], masking: Masking
) -> DeadLetter:
    texts = {key.decode(errors="replace"): value for key, value in fields.items()}
    raw = texts.pop("event", b"").decode(errors="replace")
    event = _shown_event(raw, masking)
    if texts.get("stage") == RECORDER.encode():
        # Such a letter holds the card as it was posted.
        event = without_links(event)
    return DeadLetter(
        entry_id,
        stream,
        {key: value.decode(errors="replace") for key, value in texts.items()},
        event,
        raw,
    )


def _shown_event(text: str, masking: Masking) -> JsonValue:
    event = _parsed(text) if len(text) <= 1_000_000 else None
    if not isinstance(event, dict):
        return mask_raw_text(text[:_SCANNED_RAW], masking)[:_SHOWN_RAW]
    raw = event.get("fields")
    if isinstance(raw, dict):
        return {"fields": _shown_fields(raw, masking)}
    return mask_event_data(event, Masking(masking.fields, masking.exempt | {"event.name"}))


def _shown_fields(raw: dict[str, JsonValue], masking: Masking) -> dict[str, JsonValue]:
    """Mask the fields of an entry; JSON in them is looked into, so that what it names is found in all of them."""
    masked = mask_event_data({key: _opened(value) for key, value in raw.items()}, masking)
    texts = {
        key: value if isinstance(value, str) else to_json_bytes(value).decode()
        for key, value in masked.items()
        if isinstance(value, str) or isinstance(raw.get(key), str)
    }
    shown = mask_raw_texts({k: v[:_SCANNED_RAW] for k, v in texts.items()}, masking)
    return {**masked, **{key: text[:_SHOWN_RAW] for key, text in shown.items()}}


def _opened(value: JsonValue) -> JsonValue:
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        # What is not UTF-8 is shown as text: base64 would carry a patient past the masking.
        value = base64.b64decode(str(value["base64"])).decode(errors="replace")
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    opened = _parsed(value)
    return value if opened is None else opened


def _parsed(text: str) -> JsonValue:
    """Return what JSON says; None when it is none, or is nested too deeply to be looked into."""
    try:
        parsed = exact_json(text)
    except (ValueError, RecursionError):
        return None
    return None if nested_deeper(parsed, _DEEPEST) else parsed
