"""`make chaos`: one run and its result; exit code 1 for a broken promise."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.plan import Settings
from tests.chaos.run import prepare, run
from tests.chaos.world import BrokenOffError


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    default = Settings()
    parser.add_argument(
        "--seed", type=int, default=default.seed, help="everything random comes from it"
    )
    parser.add_argument("--events", type=int, default=default.events)
    parser.add_argument(
        "--kills",
        type=int,
        default=default.kills,
        help="of daemons, Redis and Postgres together",
    )
    parser.add_argument("--daemons", type=int, default=default.daemons)
    parser.add_argument("--producers", type=int, default=default.producers)
    parser.add_argument("--rate", type=float, default=default.rate, help="events a second")
    parser.add_argument(
        "--appendfsync", choices=("always", "everysec"), default=default.appendfsync
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=300,
        help="seconds to wait for the end after the last event",
    )
    parser.add_argument(
        "--folder", type=Path, help="plan, progress and data; a run broken off in it continues"
    )
    given = vars(parser.parse_args())
    folder, settle = given.pop("folder"), given.pop("settle")
    settings = Settings(**given)
    folder = folder or Path(tempfile.gettempdir()) / f"notifier-chaos-{settings.seed}"
    if (
        min(settings.events, settings.kills, settings.daemons, settings.producers) < 1
        or settings.rate <= 0
    ):
        parser.error("numbers must be positive")
    prepare(settings, folder)
    say = Console(stderr=True, highlight=False).print
    say(f"{settings}\nplan, progress and logs: {folder}")
    try:
        verdict = asyncio.run(run(settings, folder, settle_seconds=settle, say=say))
    except BrokenOffError as exc:
        print(f"BROKEN OFF (seed {settings.seed}): {exc}", file=sys.stderr)
        return 2
    table = Table("", "seen", title=f"chaos, seed {settings.seed}")
    for name, value in verdict.figures.items():
        table.add_row(name, str(value))
    Console().print(table)
    for violation in verdict.violations:
        print(f"BROKEN (seed {settings.seed}): {violation}", file=sys.stderr)
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
