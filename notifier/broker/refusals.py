"""Keys that Redis refuses while it works for all others, and what to do about each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from redis.exceptions import ResponseError

from notifier.broker.client import Client
from notifier.broker.hop import HopResult, Move
from notifier.config import mask_url
from notifier.errors import StreamError

_MOST = 100
_RESULTS = tuple(HopResult)
"""By number, which is quicker than to ask the enumeration."""


def _nobody(key: str, why: str | None) -> object:
    return None


class Refusals:
    """What is refused at present, by key; tells a listener what is new and what is over."""

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
        if lacks_right(reply):
            raise refusal(self._url, reply)
        self.note(reply)
        return HopResult.REFUSED

    def note(self, reply: bytes) -> None:
        """Note one refusal as a script words it: "command key error"."""
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
        """Forget what was last refused so long ago that nothing waits for it any more."""
        oldest = time.monotonic() - seconds
        self.forget([key for key, (at, _) in self._noted.items() if at < oldest])

    async def without_wrong_types(self, client: Client, streams: Sequence[str]) -> list[str]:
        """Return those that are streams, and note the others, which Redis does not name.

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


def explained(reply: bytes) -> tuple[str, str]:
    """Return which key a script was refused, and why and what to do."""
    command, _, rest = reply.decode(errors="replace").partition(" ")
    key, _, error = rest.partition(" ")
    if ":seen:" in key:
        # The id of an event is its producer's: it may say anything.
        key = f"{key.partition(':seen:')[0]}:seen:*"
    return key, _why(command, key, error)


def refusal(url: str, reply: bytes) -> StreamError:
    """Return the error to raise where a script as a whole was refused a key."""
    key, why = explained(reply)
    return StreamError(f"Redis at {mask_url(url)}: {key}: {why}")


def of_another_type(exc: StreamError) -> bool:
    """Tell whether a key was refused for what another program keeps under it."""
    return "WRONGTYPE" in str(exc.__cause__)


def lacks_right(reply: bytes) -> bool:
    """Tell whether a script was refused for a right that this user lacks (Redis 6.2 and 7.0 say: "can't run this command")."""
    return b"permission" in reply or b"can't run" in reply


def _why(command: str, key: str, error: str) -> str:
    if lacks_right(error.encode()):
        return f"this user lacks +{command}; give it (docs/how-to/redis.md)"
    if error.startswith("WRONGTYPE"):
        return f"{command} failed: another program keeps something else under this key; rename or delete it (TYPE {key} says what it is)"
    if "exhausted the last possible ID" in error:
        return f"{command} failed: the last id of this stream is used up; when nothing waits in it (XLEN {key} is 0), delete it: notifier makes it again"
    return f"{command} failed: {error[:200]}; what waits for this key is tried again"
