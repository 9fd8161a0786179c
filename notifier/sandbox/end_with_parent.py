"""Start a server that ends with its parent.

Run it as: `python -m notifier.sandbox.end_with_parent PARENT SIGNAL UID GID PROGRAM ARGS…`.

A wrapper that execs the program, not a preexec_fn: the parent may have threads, and the kernel forgets the setting
(prctl PR_SET_PDEATHSIG, prctl(2)) when the user id changes, so the order matters. macOS has no such setting: there a second process watches the parent.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5


def main(arguments: list[str]) -> None:
    """Drop privileges, tie this process to its parent, and become the program."""
    parent, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    # The variable lets a test on Linux use what macOS uses.
    kernel_does_it = sys.platform == "linux" and "NOTIFIER_WATCH_PARENT" not in os.environ
    if not kernel_does_it:
        _watch_beside(parent, death_signal)  # as the account that may signal both
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if kernel_does_it:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # the parent died before this was set
    os.execv(arguments[4], arguments[4:])  # noqa: S606 # nosec B606 - the programs are found by servers.py


def _watch_beside(parent: int, death_signal: int) -> None:
    """Start a process that signals this one when the parent has ended.

    It is forked twice, so that the server has no child to reap.
    """
    server = os.getpid()
    if child := os.fork():
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    os.closerange(0, 3)  # a reader of the server's output must not wait for this process
    while _lives(server):
        if not _lives(parent):
            with suppress(ProcessLookupError):
                os.kill(server, death_signal)
            break
        time.sleep(_LOOK_SECONDS)
    os._exit(0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to another account
        pass
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
