"""notifier run: the daemon."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, settings


def run(
    config: ConfigOption = None,
    instance: Annotated[
        str | None,
        typer.Option(
            help="Name of this process in logs and consumer names. Default: host name."
        ),
    ] = None,
    stages: Annotated[
        str,
        typer.Option(
            help="Comma list of the stages of this process: intake, delivery, recorder."
        ),
    ] = "intake,delivery,recorder",
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C.

    It finishes the posts in flight and exits 0. SIGHUP reloads settings, secrets and cards. Several processes share the work safely: start as many as you like, with all stages or some.
    """
    from notifier.daemon.app import run as run_daemon

    chosen = frozenset(name.strip() for name in stages.split(",") if name.strip())
    code = run_daemon(
        lambda: settings(config),
        os.environ,
        instance=instance or socket.gethostname(),
        stages=chosen,
    )
    raise typer.Exit(code)
