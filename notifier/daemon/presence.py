"""Show in Redis that this process reads its streams, also while they are quiet."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from notifier.daemon.components import Daemon
from notifier.daemon.housekeeping import read_streams
from notifier.errors import UnreachableError

_SECONDS = 20.0


async def presence(daemon: Daemon) -> None:
    """Keep this consumer known in every stream that it reads, until the daemon stops.

    Before Redis 7.2 a read that finds nothing leaves no trace, so a process without work could not be told from none.
    """
    while not daemon.stop.is_set():
        for stream in read_streams(daemon):
            # Whoever has work there reports it.
            with suppress(UnreachableError):
                if not daemon.stop.is_set():
                    await daemon.group.appear(stream)
        with suppress(TimeoutError):
            await asyncio.wait_for(daemon.stop.wait(), _SECONDS)
