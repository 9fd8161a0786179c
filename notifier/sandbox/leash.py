"""Start a server that ends with its parent: `python -m notifier.sandbox.leash PARENT SIGNAL UID GID PROGRAM ARGS…`.

A wrapper that execs the program, not a preexec_fn: the parent may have threads, and the kernel forgets the wish
(prctl PR_SET_PDEATHSIG, prctl(2)) when the user id changes, so the order matters.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Drop privileges, tie this process to its parent, and become the program."""
    parent, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)  # the parent died before the leash was on
    os.execv(arguments[4], arguments[4:])  # noqa: S606 # nosec B606 - the programs are found by servers.py


if __name__ == "__main__":
    main(sys.argv[1:])
