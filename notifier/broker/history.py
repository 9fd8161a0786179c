"""Read streams from their past: the entries of a time range."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from notifier.broker.entries import Entry
from notifier.broker.group import ConsumerGroup

_PAGE = 200


async def entries_between(
    group: ConsumerGroup, stream: str, since: datetime | None, until: datetime | None
) -> AsyncIterator[Entry]:
    """Yield the entries that were added from `since` to before `until`, oldest first.

    Raises:
        StreamError: Redis is away.
    """
    start = "-" if since is None else f"{int(since.timestamp() * 1000)}-0"
    end = "+" if until is None else f"({int(until.timestamp() * 1000)}-0"
    while True:
        page: list[tuple[str, dict[bytes, bytes]]] = await group.between(
            stream, start, end, count=_PAGE
        )
        for entry_id, fields in page:
            yield Entry(stream, entry_id, fields)
        if len(page) < _PAGE:
            return
        start = f"({page[-1][0]}"
