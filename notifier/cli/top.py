"""notifier top: streams and lanes, live."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, settings


def top(
    config: ConfigOption = None,
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Seconds between two readings.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show all that waits, its age, the rates, and paused channels, live.

    Reads Redis only. q or Ctrl-C ends it. Without a terminal, and as JSON, it prints once, after two readings a second apart.
    """
    from rich.console import Console

    from notifier.cli.output import print_json
    from notifier.ops.top import view
    from notifier.ops.top.rows import actions_flow, document, rows_of

    loaded = settings(config)
    console = Console()
    if console.is_terminal and not (as_json or once):
        asyncio.run(view.show_live(loaded, console, interval))
        return
    now, before = asyncio.run(view.read_twice(loaded))
    if as_json:
        print_json(document(now, before))
        return
    rows, actions = rows_of(now, before), actions_flow(now, before)
    console.print(view.render(rows, actions, heading=view.heading(loaded)))
