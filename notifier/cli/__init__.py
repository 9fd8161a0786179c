"""The command line: one thin module per command."""

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
    LazyCommand("run", "run:run", "Run the daemon until SIGTERM or Ctrl-C."),
    LazyCommand("sandbox", "sandbox:sandbox", "Run everything on this machine with sample events, and a local Teams."),
    LazyCommand("publish", "publish:publish", "Publish events from options, a file, or JSON lines on standard input."),
    LazyCommand("migrate", "migrate:app", "Bring the database schema up or down, or show its state."),
    LazyCommand("dlq", "dlq:app", "List, show, replay and discard dead letters."),
    LazyCommand("lanes", "lanes:app", "List the lanes of channels, and drain those of a removed channel."),
    LazyCommand("replay", "replay:replay_events", "Route the events of a period again, and deliver those that were not."),
    LazyCommand("trace", "trace:trace", "Show the timeline of an event: attempts, card, actions, dead letters."),
    LazyCommand("report", "report:report", "Report the success metrics against their targets, and all counts."),
    LazyCommand("prune", "prune:prune_audit", "Delete audit rows older than audit.retention_days."),
    LazyCommand("backup", "backup:backup", "Write the audit trail in Postgres, as it is at one moment, to a file."),
    LazyCommand("restore", "backup:restore", "Fill an empty database from a backup, and bring its schema up."),
    LazyCommand("cards", "cards:app", "List, check, render, preview and write card templates."),
    LazyCommand("schema", "schema:schema", "Print the event contract, from the model that the daemon uses."),
    LazyCommand("config", "config:app", "Check the settings and show those in force."),
    LazyCommand("doctor", "doctor:doctor", "Check everything that the daemon needs, and say how to fix each fault."),
    LazyCommand("top", "top:top", "Show all that waits, its age, the rates, and paused channels, live."),
    LazyCommand("keys", "keys:app", "Make and list keys that sign posts and action links."),
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
    """Take the options before a command; the command reads --config."""


def main() -> None:
    """Run the command line; an error is one message on standard error."""
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
    """Write to standard error if it works; the exit code says the same."""
    try:
        typer.echo(text, err=True)
    except OSError:
        # Python would try again at exit, and end with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
