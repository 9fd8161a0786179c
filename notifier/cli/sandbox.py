"""notifier sandbox: everything on this machine, nothing installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from notifier.cli.options import JsonOption


def sandbox(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the local Teams; 0 = any free one. Default: 8765, or the next one that is free.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keep the data of Redis and Postgres here; default: a temporary folder."
        ),
    ] = None,
    events: Annotated[
        int,
        typer.Option(
            min=0,
            help="Publish this many sample events, then wait for Ctrl-C; 0 = keep publishing.",
        ),
    ] = 0,
    rate: Annotated[
        float, typer.Option(min=0.01, max=1000, help="Sample events per second.")
    ] = 1.0,
    as_json: JsonOption = False,
    faults: Annotated[
        str,
        typer.Option(
            help="Make the local Teams fail: shares from 0 to 1 by kind, such as 429:0.1,500:0.05,timeout:0.02."
        ),
    ] = "",
) -> None:
    """Run everything on this machine with sample events, and a local Teams.

    Open the printed address to see the eight channels. Ctrl-C ends everything.
    """
    from notifier.sandbox.run import run_sandbox

    raise typer.Exit(
        run_sandbox(
            port=port,
            data_dir=data_dir,
            events=events,
            rate=rate,
            as_json=as_json,
            faults=faults,
        )
    )
