"""notifier backup, notifier restore: the audit trail as a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, settings
from notifier.ops.backup import Limits, back_up
from notifier.ops.backup import restore as fill

TimeoutOption = Annotated[
    float, typer.Option(min=1, max=86_400, help="Seconds that one table may take.")
]


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; it must not be there yet.")],
    config: ConfigOption = None,
    timeout: TimeoutOption = 3600.0,
) -> None:
    """Write the audit trail in Postgres into a file, as it is at one moment.

    Reads as the user of database.url and needs no programs of Postgres. Daemons may go on meanwhile. What waits in Redis is not in it.
    """
    database = settings(config).database
    rows = back_up(database.url, file, Limits(database.connect_timeout_seconds, timeout))
    typer.echo(f"wrote {_counted(rows)} to {file}")


def restore(
    file: Annotated[Path, typer.Argument(help="File that notifier backup wrote.")],
    config: ConfigOption = None,
    timeout: TimeoutOption = 3600.0,
) -> None:
    """Fill an empty database from a file of notifier backup, and bring its schema up.

    A database with rows is left as it is. Stop the daemons first.
    """
    database = settings(config).database
    rows = fill(database.url, file, Limits(database.connect_timeout_seconds, timeout))
    typer.echo(f"restored {_counted(rows)} from {file}")


def _counted(rows: Mapping[str, int]) -> str:
    return f"{sum(rows.values())} rows ({', '.join(f'{count} of {name}' for name, count in rows.items())})"
