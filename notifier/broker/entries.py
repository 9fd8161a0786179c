"""An entry as a consumer has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

LARGEST_BYTES = 8 * 2**20
"""Of an entry that is sent whole. No entry of notifier's own has as much; what a producer adds may."""
ALONE = 3
"""Deliveries from which an entry goes alone: processes died twice while it was in flight, among others."""


class Entry(NamedTuple):
    """One stream entry in hand; `fields` is None when it was trimmed while pending."""

    stream: str
    id: str
    fields: Mapping[bytes, bytes] | None
    deliveries: int = 1
    withheld_bytes: int = 0
    """Its size if it is too large for this process; its `fields` are then short ones only."""

    def goes_alone(self, max_deliveries: int) -> bool:
        """Tell whether it may be what processes die of, so that nothing else of its kind may be tried beside it."""
        return self.deliveries >= ALONE and not self.is_poison(max_deliveries)

    def is_poison(self, max_deliveries: int) -> bool:
        """Tell whether processes died of it often enough, the last ones while it was tried alone."""
        return self.deliveries > max(max_deliveries, ALONE)


def of_reply(
    stream: str, reply: Sequence[tuple[bytes, int, Sequence[bytes] | None, int]]
) -> list[Entry]:
    """Return the entries that claim.lua has taken."""
    return [
        Entry(
            stream,
            entry_id.decode(),
            None if fields is None else dict(zip(fields[::2], fields[1::2], strict=True)),
            int(deliveries),
            int(withheld),
        )
        for entry_id, deliveries, fields, withheld in reply
    ]
