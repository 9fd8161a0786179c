"""Urgent events do not wait behind a backlog: while there is one, look beyond what the group has read and find them."""

from __future__ import annotations

import json
from collections.abc import Callable

from pydantic import JsonValue

from notifier.events import Priority
from notifier.routing import Catalogue
from notifier.stages.stage import Every
from notifier.streams.group import ConsumerGroup, Entry
from notifier.streams.views import Glimpse, Outlook

_PAGE = 500
_PAGE_BYTES = 1_000_000
_MOST_CALM = 64
_LONGEST_KIND = 256
_ALONE_SECONDS = 2.0
"""So long after a process that looked ahead has died another one begins."""


class LookAhead:
    """Finds the urgent entries of one event stream, page by page, each once; one process at a time does so."""

    def __init__(
        self, group: ConsumerGroup, stream: str, *, clock: Callable[[], float]
    ) -> None:
        self._group = group
        self._stream = stream
        self._after = "0-0"
        self._passed = 0
        """Others that stand in front of what comes next."""
        self._calm: set[bytes] = set()
        self._catalogue: Catalogue | None = None
        self._ask = Every(_ALONE_SECONDS / 4, clock)
        self._alone = False

    async def find(
        self, catalogue: Catalogue, *, count: int, max_bytes: int
    ) -> tuple[list[Entry], bool]:
        """Return the urgent entries of the next page that have others in front of them, and whether more may follow.

        Where everything is urgent nothing would be gained, so nothing is returned.

        Args:
            catalogue: Says which event types are urgent.
            count: Entries to return, at most.
            max_bytes: Their bytes, at most; a single entry may have more.

        Raises:
            StreamError: Redis is away.
        """
        if not self._alone and not self._ask.due():
            return [], False
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._calm.clear()
        outlook = await self._group.look_ahead(
            self._stream, self._after, calm=self._calm, count=_PAGE, max_bytes=_PAGE_BYTES, alone_seconds=_ALONE_SECONDS,
        )  # fmt: skip
        self._alone = outlook is not None
        if outlook is None:
            return [], False
        if outlook.after != self._after:
            # The group has come as far as this meanwhile.
            self._passed = 0
        self._passed += outlook.passed
        self._after = outlook.last
        chosen, more = self._choose(outlook, catalogue, count, max_bytes)
        if not chosen or not self._passed:
            return [], more
        return await self._group.pick(self._stream, chosen), more

    def _choose(
        self, outlook: Outlook, catalogue: Catalogue, count: int, max_bytes: int
    ) -> tuple[list[str], bool]:
        chosen: list[str] = []
        size = 0
        for glimpse in outlook.glimpses:
            if not looks_urgent(glimpse, catalogue):
                self._passed += 1
                self._remember(glimpse)
            elif chosen and (len(chosen) == count or size + glimpse.size_bytes > max_bytes):
                self._after = chosen[-1]
                return chosen, True
            else:
                chosen.append(glimpse.id)
                size += glimpse.size_bytes
        return chosen, outlook.more

    def _remember(self, glimpse: Glimpse) -> None:
        if glimpse.event or len(glimpse.kind) > _LONGEST_KIND:
            return
        if len(self._calm) >= _MOST_CALM:
            self._calm.clear()
        self._calm.add(glimpse.kind)

    def start_over(self) -> None:
        """Look again at what was found: it could not be moved."""
        self._after, self._passed = "0-0", 0


def looks_urgent(glimpse: Glimpse, catalogue: Catalogue) -> bool:
    """Tell by type and priority alone whether an entry is probably urgent; whether it is an event at all is not known."""
    event_type: JsonValue = glimpse.type.decode(errors="replace")
    priority: JsonValue = glimpse.priority.decode(errors="replace")
    if glimpse.event:
        # As in events.py: what the JSON says goes before the fields beside it.
        members = _members(glimpse.event)
        event_type = members.get("type", event_type)
        priority = members.get("priority", priority)
    if isinstance(priority, str) and priority.strip():
        return priority.strip().upper() in (Priority.CRITICAL, Priority.HIGH)
    if not isinstance(event_type, str):
        return False
    _, route = catalogue.find(event_type)
    return route is not None and route.priority.urgent


def _members(text: bytes) -> dict[str, JsonValue]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
