"""How many log lines of a kind are written: what strangers can cause must not fill the disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

_MOST_KINDS = 200


class LineLimit:
    """Lets through `most` lines of a kind in `seconds`, and counts the others; `clock` gives monotonic seconds."""

    def __init__(
        self, clock: Callable[[], float], *, most: int = 5, seconds: float = 60.0
    ) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._kinds: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """When the period of a kind began, and how many lines there were since."""

    def left_out(self, kind: str) -> int | None:
        """Return how many lines of this kind were left out before this one; None: leave this one out too."""
        now = self._clock()
        began, count = self._kinds.get(kind, (now, 0))
        left_out = 0
        if now - began >= self._seconds:
            left_out = max(0, count - self._most)
            began, count = now, 0
        self._kinds[kind] = (began, count + 1)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.popitem(last=False)
        return left_out if count < self._most else None
