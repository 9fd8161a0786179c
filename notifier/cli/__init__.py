"""The command line: one file per command, each thin, and imported when it is called."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from notifier.cli.lazy import LazyCommand, lazy_group, stub_of
from notifier.cli.options import ConfigOption
from notifier.errors import ExitCode, NotifierError

EXIT_CODES = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed, or a fault was found",
    ExitCode.USAGE: "wrong usage; nothing was done",
    ExitCode.CONFIGURATION: "the configuration, a secret or a configured card is wrong",
    ExitCode.UNREACHABLE: "Redis, Postgres or another server does not answer",
    ExitCode.SCHEMA: "the database schema is too old (notifier migrate up)",
    ExitCode.INTERNAL: "internal error",
    ExitCode.INTERRUPTED: "interrupted",
}

COMMANDS = (
    LazyCommand("run", "run:run", "Run the daemon until SIGTERM or Ctrl-C, then finish what is in flight and exit 0."),
    LazyCommand("sandbox", "sandbox:sandbox", "Run Redis, Postgres, a local Teams and the daemon on this machine, with sample events."),
    LazyCommand("publish", "publish:publish", "Publish events, from flags, a file, or JSON lines on standard input."),
    LazyCommand("migrate", "migrate:app", "Bring the database schema up or down, or show its state."),
    LazyCommand("dlq", "dlq:app", "Dead letters: what could not be delivered, why, and what to do with it."),
    LazyCommand("lanes", "lanes:app", "Lanes: what waits for each channel, and how to empty those of a removed channel."),
    LazyCommand("replay", "replay:replay_events", "Route the events of a time range again and deliver what was not delivered."),
    LazyCommand("trace", "trace:trace", "Trace an event: published, waiting, attempts, card, what people did, dead letters and their replays."),
    LazyCommand("report", "report:report", "Report the success metrics against their targets, and what was sent, failed and answered."),
    LazyCommand("prune", "prune:prune_audit", "Delete audit rows older than audit.retention_days; CRITICAL ones are kept audit.critical_retention_days."),
    LazyCommand("backup", "backup:backup", "Write the audit trail in Postgres into a file, as it is at one moment."),
    LazyCommand("restore", "backup:restore", "Fill an empty database from a file of notifier backup, and bring its schema up."),
    LazyCommand("cards", "cards:app", "Card templates: list, check, render, new."),
    LazyCommand("schema", "schema:schema", "Print the contract with producers, generated from the model the daemon validates with."),
    LazyCommand("config", "config:app", "Check the settings and show those in force."),
    LazyCommand("doctor", "doctor:doctor", "Check Redis, Postgres, Vault, webhooks, cards, routes and the service, and say how to fix each fault."),
    LazyCommand("top", "top:top", "Show what waits in streams and lanes, its age, the rates, and the channels that are paused."),
    LazyCommand("keys", "keys:app", "Make keys that sign posts and action links, and change them without breaking posted links."),
    LazyCommand("version", "version:version", "Print the version."),
)  # fmt: skip
"""In the order in which help lists them."""

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    help="Turn claims-platform events on Redis streams into Microsoft Teams cards, lose none, and keep the audit trail. "
    "Start with: notifier sandbox",
    epilog="Exit codes: "
    + " · ".join(f"{code.value} {meaning}" for code, meaning in EXIT_CODES.items()),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in COMMANDS:
    app.command(command.name, help=command.help)(stub_of(command))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(installed("notifier"))
        raise typer.Exit


@app.callback()
def notifier(
    config: ConfigOption = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that may come before a command; the command reads its --config."""


def main() -> None:
    """Run the command line; errors are one message on standard error, without a traceback."""
    if sys.stderr is None:
        # Whoever started this closed it; the descriptor would be taken by the next file or connection.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    try:
        app()
    except NotifierError as exc:
        _say(f"notifier: {exc}")
        sys.exit(exc.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _say(text: str) -> None:
    """Write to standard error, if it takes anything: the exit code says the same."""
    try:
        typer.echo(text, err=True)
    except OSError:
        # Python would try again at exit, and end with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
