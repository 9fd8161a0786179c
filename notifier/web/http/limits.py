"""Limit the requests of clients: a token bucket per key."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

_MOST_KEYS = 10_000
_PERIOD_SECONDS = 60.0


class RequestLimit:
    """Allows `per_minute` requests per key, all at once after a quiet minute.

    `clock` gives monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._each = _PERIOD_SECONDS / per_minute
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    def use(self, per_minute: int) -> None:
        """Allow another number from now on; earlier requests still count."""
        self._each = _PERIOD_SECONDS / per_minute

    def wait_seconds(self, key: str, *, weight: float = 1.0) -> int:
        """Count a request and return 0, or return for how many seconds to wait."""
        wait = self.must_wait(key, weight=weight)
        if wait:
            return wait
        self._due[key] = max(self._clock(), self._due.get(key, 0.0)) + self._each * weight
        self._due.move_to_end(key)
        if len(self._due) > _MOST_KEYS:
            self._due.popitem(last=False)
        return 0

    def must_wait(self, key: str, *, weight: float = 1.0) -> int:
        """Return for how many seconds to wait, without counting a request."""
        now = self._clock()
        due = max(now, self._due.get(key, 0.0)) + self._each * weight
        excess = due - now - _PERIOD_SECONDS
        return math.ceil(excess) if excess > 1e-9 else 0
