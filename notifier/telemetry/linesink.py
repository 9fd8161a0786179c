"""Write log lines to a descriptor without ever failing or waiting: what it does not take is dropped and counted."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Callable


class LineSink:
    """A file, pipe, socket or terminal that may be full, gone, or read by nobody."""

    def __init__(self, descriptor: int) -> None:
        self._write, self.close = _writing(descriptor)
        self._rest = b""
        """Of a line that was written in part."""
        self.dropped = 0
        """Lines that nobody will read, since `told` was called."""

    def write(self, text: str) -> int:
        """Write whole lines; returns how many were dropped."""
        data = text.encode(errors="backslashreplace")
        if self._rest:
            self._rest = self._rest[self._put(self._rest) :]
        done = 0 if self._rest else self._put(data)
        if 0 < done < len(data) and data[done - 1 : done] != b"\n":
            # Whoever reads again later sees this line whole.
            end = data.find(b"\n", done) + 1 or len(data)
            self._rest, done = data[done:end], end
        dropped = data.count(b"\n", done)
        self.dropped += dropped
        return dropped

    def told(self) -> None:
        """Count anew: the log says how many lines it lacks."""
        self.dropped = 0

    def _put(self, data: bytes) -> int:
        """Return how many bytes were taken."""
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done:])
        except OSError:  # full, gone, or nobody reads
            pass
        return done


def _writing(descriptor: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """Return what writes some of it to a descriptor or raises OSError, and never waits; and what closes it again."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        # Of the journal, as a rule. A copy of the descriptor: closing the object must not close standard error.
        end = socket.socket(fileno=os.dup(descriptor))
        return lambda data: end.send(data, socket.MSG_DONTWAIT), end.close
    if stat.S_ISREG(mode):
        return lambda data: os.write(descriptor, data), lambda: None
    if stat.S_ISFIFO(mode):
        try:
            # Opened anew, so that the flag is ours alone: who shares the pipe goes on as before.
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            pass
        else:
            return lambda data: os.write(own, data), lambda: os.close(own)
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)

    def write(data: bytes) -> int:
        if not ready.poll(0):
            raise BlockingIOError
        # What takes anything takes so many bytes whole (pipe(7)); more might have to wait.
        return os.write(descriptor, data[: select.PIPE_BUF])

    return write, lambda: None
