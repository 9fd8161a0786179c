"""Ports for servers of the tests that are started later, or again."""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_FIRST, _LAST = 12_000, 22_000
"""Below those that the kernel gives to outgoing connections (32,768 and above), so that none of these takes one in between."""
_GIVEN: set[int] = set()
_WORKERS = 8
"""Each worker of pytest-xdist has a part of its own: what one has chosen and not opened yet, another must not take."""
_BUS = 10_000
"""So much higher is the bus of a Redis node's port; these are below them, too."""


def quiet_port() -> int:
    """Return a free port of 127.0.0.1 whose cluster bus port is free too."""
    while True:
        port = _FIRST + _worker() + _WORKERS * random.randrange((_LAST - _FIRST) // _WORKERS)
        if port not in _GIVEN and _free(port) and _free(port + _BUS):
            _GIVEN.add(port)
            return port


def _worker() -> int:
    number = re.search(r"\d+$", os.environ.get("PYTEST_XDIST_WORKER", ""))
    return int(number[0]) % _WORKERS if number else 0


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen on a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
