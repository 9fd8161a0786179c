"""Notice the key that ends a live view."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quit_key(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` when q is typed, as long as the body runs; keys are not echoed meanwhile. Needs a running loop."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def typed() -> None:
        keys = os.read(descriptor, 1024)
        if not keys or b"q" in keys.lower():
            stop.set()

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, typed)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
