"""Read pages of a stream as XRANGE and XREVRANGE do, whatever the size of its entries."""

from __future__ import annotations

from typing import NamedTuple

from notifier.broker.client import Client
from notifier.broker.scripts import Script

_ROOM_BYTES = 8 * 2**20
_LARGEST_BYTES = 8 * 2**20
_SCRIPT = Script.read(__package__, "sent", "page")

Page = list[tuple[str, dict[bytes, bytes]]]


class Span(NamedTuple):
    """Where to read, as the commands take it: "-", "+", "(id" without it."""

    start: str
    stop: str
    newest_first: bool = False


async def read_page(client: Client, stream: str, span: Span, *, count: int) -> Page:
    """Return the next `count` entries; of one that is too large for a process, its size only.

    Raises what the driver raises.
    """
    found: Page = []
    command = "XREVRANGE" if span.newest_first else "XRANGE"
    start, more = span.start, True
    while more:
        argv = [command, start, span.stop, count - len(found), _ROOM_BYTES, _LARGEST_BYTES]
        more, entries = await _SCRIPT.run(client, [stream], argv)
        for entry_id, fields in entries:
            found.append((entry_id.decode(), dict(zip(fields[::2], fields[1::2], strict=True))))
        if found:
            start = f"({found[-1][0]}"
    return found
