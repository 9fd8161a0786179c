"""Ports of this machine: one that is free, and a socket that keeps it."""

from __future__ import annotations

import socket
from contextlib import suppress

from notifier.errors import SandboxError

_PORTS_TRIED = 20


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listen(port: int | None, *, first: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1.

    Args:
        port: The port that somebody asked for, 0 for any free one, None for the next free one from `first` on.
        first: Where to begin without a port.

    Raises:
        SandboxError: The port that was asked for is taken.
    """
    if port is not None:
        return _listener(port)
    for candidate in range(first, first + _PORTS_TRIED):
        with suppress(SandboxError):
            return _listener(candidate)
    return _listener(0)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    # Connections of the last run occupy the port for a minute after their end; they need not stop us.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as exc:
        listener.close()
        raise SandboxError(
            f"cannot listen on port {port}: {exc.strerror}; choose another with --port, or leave --port out"
        ) from None
    return listener
