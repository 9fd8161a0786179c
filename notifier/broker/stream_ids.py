"""What the ids of an event stream and the groups of others do to it: nothing can be added, or nothing is trimmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from notifier.broker.client import Client, redis_errors
from notifier.broker.scripts import Script
from notifier.broker.stats_views import number_of
from notifier.config import RedisSettings

LAST = (2**64 - 1, 2**64 - 1)
_AHEAD_MS = 24 * 3_600_000
"""So far ahead of Redis' clock no id is that Redis made, whatever happened to its clock."""
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
    """What is wrong with a stream, and what to do."""

    what: str
    fix: str


async def read_ids(client: Client, settings: RedisSettings, stream: str) -> StreamIds | None:
    """Look at an event stream; None when there is none.

    Raises:
        StreamError: Redis is away.
    """
    script = Script.read(__package__, "ids")
    async with redis_errors(client, settings.url):
        reply = await script.run(client, [stream], [settings.group])
    if reply is None:
        return None
    now_ms, last, groups, read = reply
    return StreamIds(
        stream,
        int(now_ms),
        number_of(last),
        tuple(
            OtherGroup(name.decode(errors="replace"), number_of(oldest) if oldest else None, int(pending))
            for name, oldest, pending in groups
        ),
        settings.group,
        number_of(read) if read else None,
    )  # fmt: skip


def judge_ids(ids: StreamIds, *, retention_seconds: float) -> list[IdFault]:
    """Return what keeps producers from adding, events from being read, or the stream from being trimmed."""
    found = []
    stream = ids.stream
    again = f"stop what adds such ids; when nothing waits in it (notifier top), DEL {stream}: notifier makes it again"
    if ids.last == LAST:
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
