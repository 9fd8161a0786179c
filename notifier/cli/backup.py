"""notifier backup, notifier restore: the audit trail as a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, QuietOption, database, settings

TimeoutOption = Annotated[
    float, typer.Option(min=1, max=86_400, help="Seconds that one table may take.")
]


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; it must not be there yet.")],
    config: ConfigOption = None,
    timeout: TimeoutOption = 3600.0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the audit trail in Postgres, as it is at one moment, to a file.

    Reads as the user of database.url and needs no programs of Postgres. Daemons may keep running. Streams in Redis are not in it.
    """
    from notifier.ops.backup import back_up

    rows = back_up(database(settings(config), "backup", timeout), file)
    _print("wrote", "to", rows, file, as_json=as_json, quiet=quiet)


def restore(
    file: Annotated[Path, typer.Argument(help="File that notifier backup wrote.")],
    config: ConfigOption = None,
    timeout: TimeoutOption = 3600.0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fill an empty database from a backup, and bring its schema up.

    A database with rows is left as it is. Stop the daemons first.
    """
    from notifier.ops.backup import restore as fill

    rows = fill(database(settings(config), "backup", timeout), file)
    _print("restored", "from", rows, file, as_json=as_json, quiet=quiet)


def _print(
    verb: str, way: str, rows: Mapping[str, int], file: Path, *, as_json: bool, quiet: bool
) -> None:
    from notifier.cli.output import print_result

    total = sum(rows.values())
    tables = ", ".join(f"{count} of {name}" for name, count in rows.items())
    print_result(
        {"file": str(file), "rows": total, "tables": dict(rows)},
        f"{verb} {total} rows ({tables}) {way} {file}",
        as_json=as_json,
        quiet=quiet,
    )
