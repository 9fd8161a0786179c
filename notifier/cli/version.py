"""notifier version: print the version."""

from __future__ import annotations

from importlib.metadata import version as installed

import typer

from notifier.cli.options import JsonOption


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        from notifier.cli.output import print_json

        print_json({"version": installed("notifier")})
    else:
        typer.echo(installed("notifier"))
