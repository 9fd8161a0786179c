"""Run `notifier` with a loop that ends or hangs once a file exists."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from notifier.broker.leases import Leases
from notifier.cli import main

_LAST_SECONDS = 0.5


async def run(_: Leases) -> None:
    while not Path(os.environ["FAIL_WHEN"]).exists():
        await asyncio.sleep(0.02)
    Path(os.environ["FAIL_WHEN"] + ".seen").touch()
    while os.environ["FAIL_AS"] == "hangs":
        pass


Leases.run = run  # type: ignore[method-assign]

if __name__ == "__main__":
    from notifier.daemon import app

    app._LAST_SECONDS = _LAST_SECONDS
    main()
