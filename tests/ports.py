"""Ports for servers of the tests that are started later, or again."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 12_000, 22_000
"""Below those that the kernel gives to outgoing connections (32,768 and above), so that none of these takes one in between."""
_BUS = 10_000
"""So much higher is the bus of a Redis node's port; these are below them, too."""


def quiet_port() -> int:
    """Return a port of 127.0.0.1 that is free, as is the one for the bus of a cluster's node."""
    while True:
        port = random.randrange(_FIRST, _LAST)
        if _free(port) and _free(port + _BUS):
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
