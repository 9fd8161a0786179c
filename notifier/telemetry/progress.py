"""A loop that waits for a slow server, for a bounded time, is not one that hangs: whoever waits says for how long at most."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


def _nobody(seconds: float) -> None:
    """Outside of a loop nobody asks."""


_LISTENER: ContextVar[Callable[[float], None]] = ContextVar("listener", default=_nobody)


def listen(listener: Callable[[float], None]) -> None:
    """Have the listener called, in this task and those that it starts, with the seconds that the next step takes at most."""
    _LISTENER.set(listener)


def waits(seconds: float) -> None:
    """Say that the next step takes this long at most; 0: the step is over."""
    _LISTENER.get()(seconds)
