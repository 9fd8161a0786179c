"""notifier doctor: check everything that the daemon needs."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, settings
from notifier.cli.output import (
    counted,
    error_findings,
    findings_document,
    print_findings,
    print_json,
)
from notifier.errors import ConfigError, ExitCode
from notifier.telemetry.findings import Finding, Level

if TYPE_CHECKING:
    from notifier.config import Config


def doctor(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    send_test_to: Annotated[
        str | None,
        typer.Option(
            "--send-test",
            metavar="CHANNEL",
            help="Only post one card, marked as a test, to this channel and show the response of Teams.",
        ),
    ] = None,
) -> None:
    """Check everything that the daemon needs, and say how to fix each fault.

    It checks Redis, Postgres, Vault, webhooks, cards, routes and the service.
    It changes nothing and posts nothing (except with --send-test). Run it as the daemon's user with the daemon's settings.
    Exit 0: no faults, perhaps warnings · 1: faults.
    """
    from notifier.ops.doctor.checklist import checklist
    from notifier.ops.doctor.checks import run_checks

    try:
        loaded = settings(config)
    except ConfigError as exc:
        findings = error_findings("settings", exc)
    else:
        if send_test_to is None:
            findings = run_checks(checklist(loaded, os.environ, config))
        else:
            findings = [_sent(loaded, send_test_to)]
    if as_json:
        print_json(findings_document(findings))
    else:
        print_findings(findings, lines_in_pipe=False)
        typer.echo(f"\n{counted(findings)}")
    if any(finding.level is Level.FAULT for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _sent(config: Config, channel: str) -> Finding:
    from notifier.ops.doctor.checklist import find_secrets
    from notifier.ops.doctor.send_test import send_test

    secrets, _ = find_secrets(config, os.environ)
    who = f"{getpass.getuser()} on {socket.gethostname()}"
    return asyncio.run(send_test(config, secrets, channel, sender_name=who))
