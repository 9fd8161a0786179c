"""Find ids and foreign groups that hinder an event stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from notifier.broker.entries import LAST_ID, id_number
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams

_STREAM_IDS = Script.read(__package__, "replies", "stream_ids")
_AHEAD_MS = 24 * 3_600_000
"""Redis makes no id so far ahead of its clock, whatever happened to that."""
_GRACE_MS = 15 * 60_000
"""Streams are trimmed once a minute."""


class OtherGroup(NamedTuple):
    """A consumer group of somebody else."""

    name: str
    oldest: tuple[int, int] | None
    """The oldest entry that it has not acknowledged."""
    pending: int


@dataclass(frozen=True, slots=True)
class StreamIds:
    """An event stream at one moment."""

    stream: str
    now_ms: int
    """By Redis' clock."""
    last: tuple[int, int]
    """The highest id that an entry has had."""
    groups: tuple[OtherGroup, ...]
    group: str
    """Our own."""
    read: tuple[int, int] | None
    """The last entry that it has read."""


class IdFault(NamedTuple):
    """A fault of a stream, and what to do."""

    what: str
    fix: str


async def read_ids(streams: Streams, stream: str) -> StreamIds | None:
    """Look at an event stream; None when there is none; raises StreamError."""
    reply = await streams.run(_STREAM_IDS, [stream], [streams.group_name])
    if reply is None:
        return None
    now_ms, last, groups, read = reply
    return StreamIds(
        stream,
        int(now_ms),
        id_number(last),
        tuple(
            OtherGroup(name.decode(errors="replace"), id_number(oldest) if oldest else None, int(pending))
            for name, oldest, pending in groups
        ),
        streams.group_name,
        id_number(read) if read else None,
    )  # fmt: skip


def judge_ids(ids: StreamIds, *, retention_seconds: float) -> list[IdFault]:
    """Return the faults that hinder adding, reading or trimming."""
    found = []
    stream = ids.stream
    again = f"stop what adds such ids; when nothing waits in it (notifier top), DEL {stream}: notifier makes it again"
    if ids.last == LAST_ID:
        what = f"the last id of {stream} is used up: no producer can add an event"
        found.append(IdFault(what, again))
    elif ids.last[0] > ids.now_ms + _AHEAD_MS:
        what = (
            f"the last id of {stream} is {ids.last[0]}-{ids.last[1]}, far ahead of Redis' clock: "
            "later events get the same time, and are never trimmed by their age"
        )
        found.append(IdFault(what, again))
    if ids.read is not None and ids.read > ids.last:
        what = f"the consumer group {ids.group!a} is set to an id behind the last one of {stream}: new events are not read"
        fix = f"XGROUP DESTROY {stream} {ids.group!a}: notifier makes it again where it was"
        found.append(IdFault(what, fix))
    kept_ms = ids.now_ms - int(retention_seconds * 1000) - _GRACE_MS
    for group in ids.groups:
        if group.oldest is not None and group.oldest[0] < kept_ms:
            what = (
                f"the consumer group {group.name!a} does not acknowledge the events of {stream} ({group.pending} pending), "
                "so it is not trimmed and grows"
            )
            fix = f"start what reads as this group, or, if nobody needs it: XGROUP DESTROY {stream} {group.name!a}"
            found.append(IdFault(what, fix))
    return found
