"""What a consumer knows of Redis' clock, by which idle times go: it may be set back or ahead. Pure; the caller gives monotonic seconds."""

from __future__ import annotations

from collections.abc import Sequence


class RedisClock:
    """Redis' time when it was last told, and entries that seem to be delivered in its future."""

    def __init__(self, *, most_ahead_seconds: float) -> None:
        self._most_ahead_ms = int(most_ahead_seconds * 1000)
        self._told: dict[str, tuple[int, float]] = {}
        """Per stream, for those of a cluster are on servers with clocks of their own."""
        self._ahead: dict[str, dict[str, float]] = {}

    def latest_ms(self, stream: str, now: float) -> int:
        """Return the latest time that it may be unless the clock leaps; 0 = not known."""
        if stream not in self._told:
            return 0
        told_ms, at = self._told[stream]
        return told_ms + int((now - at) * 1000) + self._most_ahead_ms

    def told(self, stream: str, redis_ms: int, now: float) -> bool:
        """Note Redis' time; returns whether it has leapt ahead."""
        latest = self.latest_ms(stream, now)
        self._told[stream] = redis_ms, now
        return 0 < latest < redis_ms

    def note_ahead(self, stream: str, entry_ids: Sequence[str], now: float) -> None:
        """Note which entries of a stream were delivered in the future as far as can be seen; the others no longer are."""
        before = self._ahead.get(stream, {})
        self._ahead[stream] = {each: before.get(each, now) for each in entry_ids}

    def free(self, stream: str, seconds: float, now: float) -> list[str]:
        """Return the entries that were delivered in the future and whose consumer has not renewed them for so long: it is gone."""
        ahead = self._ahead.get(stream, {})
        return [each for each, since in ahead.items() if now - since >= seconds]
