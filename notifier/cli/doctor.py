"""notifier doctor: look whether everything is as it should be."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from notifier.cli.formats import FormatOption, JsonOption, wants_json
from notifier.cli.options import ConfigOption, print_json, settings
from notifier.config import Config
from notifier.errors import ConfigError
from notifier.ops.doctor import Finding, Level, examine
from notifier.ops.doctor.checklist import checklist, find_secrets
from notifier.ops.doctor.send_test import send_test
from notifier.telemetry.findings import count, fault_of

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "bold red"}


def doctor(
    config: ConfigOption = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    send_test_to: Annotated[
        str | None,
        typer.Option(
            "--send-test",
            metavar="CHANNEL",
            help="Only post one card, marked as a test, to this channel and say what Teams answers.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Look at Redis, Postgres, Vault, webhooks, cards, routes and the service, and say how to mend what is wrong.

    Changes nothing and posts nothing (but for --send-test). Run it as the daemon's user with the daemon's settings.
    Exit 0: no faults, perhaps warnings · 1: faults.
    """
    for_program = wants_json(form, as_json)
    try:
        loaded = settings(config)
    except ConfigError as exc:
        lines = str(exc).splitlines()
        findings = [
            fault_of(
                "settings", line.strip(), otherwise="correct it, then: notifier config check"
            )
            for line in lines[1:] or lines
        ]
    else:
        if send_test_to is None:
            findings = examine(checklist(loaded, os.environ, config))
        else:
            findings = [_sent(loaded, send_test_to)]
    if for_program:
        print_json(_as_json(findings))
    else:
        _draw(findings)
    if any(finding.level is Level.FAULT for finding in findings):
        raise typer.Exit(1)


def _sent(config: Config, channel: str) -> Finding:
    secrets, _ = find_secrets(config, os.environ)
    who = f"{getpass.getuser()} on {socket.gethostname()}"
    return asyncio.run(send_test(config, secrets, channel, sender_name=who))


def _as_json(findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "faults": count(findings, Level.FAULT),
        "warnings": count(findings, Level.WARNING),
        "findings": [each.as_json for each in findings],
    }


def _draw(findings: Sequence[Finding]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        what = Text(f"{finding.where}: " if finding.where else "")
        what.append(finding.message)
        if finding.fix:
            what.append(f"\n→ {finding.fix}", style="cyan")
        level = Text(finding.level.value, style=_STYLES[finding.level])
        table.add_row(level, Text(finding.check, style="bold"), what)
    console = Console()
    console.print(table)
    faults, warnings = count(findings, Level.FAULT), count(findings, Level.WARNING)
    many_faults = "1 fault" if faults == 1 else f"{faults} faults"
    many_warnings = "1 warning" if warnings == 1 else f"{warnings} warnings"
    console.print(f"\n{many_faults}, {many_warnings}", highlight=False)
