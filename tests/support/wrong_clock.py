"""`notifier` on a machine whose clock is CLOCK_AHEAD seconds ahead."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timedelta

from notifier.cli import main
from notifier.telemetry import clock


def patch(ahead: float) -> None:
    """Move the clock that all modules read."""
    right, right_now = time.time, clock.utc_now

    def utc_now() -> datetime:
        return right_now() + timedelta(seconds=ahead)

    time.time = lambda: right() + ahead
    for name, module in list(sys.modules.items()):
        if name.startswith("notifier") and getattr(module, "utc_now", None) is right_now:
            module.utc_now = utc_now  # type: ignore[attr-defined]


if __name__ == "__main__":
    patch(float(os.environ["CLOCK_AHEAD"]))
    sys.exit(main())
