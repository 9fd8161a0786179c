"""Keep the keys that Redis refuses while it works for all others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from redis.exceptions import ResponseError

from notifier.broker.client import Client
from notifier.broker.errors import error_code, explained, refusal
from notifier.broker.hop import HopResult, Move

_MOST = 100
_RESULTS = tuple(HopResult)
"""By number, which is quicker than to ask the enumeration."""


def _nobody(key: str, why: str | None) -> object:
    return None


class RefusedKeys:
    """The keys that are refused at present; calls a listener for each change."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._noted: dict[str, tuple[float, bool]] = {}
        """Monotonic time of the last refusal, and whether the key holds another type."""
        self.listener: Callable[[str, str | None], object] = _nobody
        """Called with a key and why it is refused, None when it is no longer."""

    def results(self, moves: Sequence[Move], replies: Sequence[int | bytes]) -> list[HopResult]:
        """Return what hop.lua says of each move, and note what was refused.

        Raises:
            StreamError: This user lacks a right, so no key works.
        """
        try:
            results = [_RESULTS[reply] for reply in replies]  # type: ignore[index]
        except TypeError:
            results = [self._result(reply) for reply in replies]
        if self._noted:
            self.forget(
                key
                for move, result in zip(moves, results, strict=True)
                if result is HopResult.MOVED
                for key in (move.source, *(target for target, _ in move.targets))
            )
        return results

    def _result(self, reply: int | bytes) -> HopResult:
        if isinstance(reply, int):
            return _RESULTS[reply]
        # The words after the command and its key are the server's.
        if error_code(reply.decode(errors="replace").split(" ", 2)[-1]) == "NOPERM":
            raise refusal(self._url, reply)
        self.note(reply)
        return HopResult.REFUSED

    def note(self, reply: bytes) -> None:
        """Note one refusal in the words of a script: "command key error"."""
        key, why = explained(reply)
        new = key not in self._noted
        if new and len(self._noted) >= _MOST:
            return
        self._noted[key] = time.monotonic(), b"WRONGTYPE" in reply
        if new:
            self.listener(key, why)

    def forget(self, keys: Iterable[str]) -> None:
        """Note keys that work."""
        for key in self._noted.keys() & set(keys):
            del self._noted[key]
            self.listener(key, None)

    def forget_types(self, streams: Iterable[str]) -> None:
        """Note keys that are streams; adding to them may be refused all the same."""
        if self._noted:
            self.forget(key for key in streams if self._noted.get(key, (0.0, False))[1])

    def forget_older(self, seconds: float) -> None:
        """Forget keys that were last refused so long ago."""
        oldest = time.monotonic() - seconds
        self.forget([key for key, (at, _) in self._noted.items() if at < oldest])

    async def without_wrong_types(self, client: Client, streams: Sequence[str]) -> list[str]:
        """Return those that are streams, and note the others.

        Raises:
            StreamError: None is left.
        """
        rest = []
        error = None
        for stream in streams:
            try:
                await client.xlen(stream)
            except ResponseError as exc:
                reply = f"xreadgroup {stream} {exc}".encode()
                self.note(reply)
                error = refusal(self._url, reply)
            else:
                rest.append(stream)
        if error is not None and not rest:
            raise error
        return rest
