"""The command line: one file per command, each thin."""

from __future__ import annotations

import os
import sys

import typer

from notifier.cli import (
    cards,
    config,
    dlq,
    keys,
    lanes,
    migrate,
    prune,
    publish,
    replay,
    report,
    run,
    schema,
    trace,
)
from notifier.cli.doctor import doctor
from notifier.cli.sandbox import sandbox
from notifier.cli.top import top
from notifier.errors import NotifierError

EPILOG = (
    "Exit codes: 0 done · 1 failed · 2 wrong usage · 3 configuration · 4 Redis, Postgres or another server does not "
    "answer · 5 the database schema is too old (notifier migrate up) · 130 interrupted."
)

app = typer.Typer(
    help="Turn claims-platform events on Redis streams into Microsoft Teams cards, lose none, and keep the audit trail. "
    "Start with: notifier sandbox",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(run.run)
app.command()(sandbox)
app.command()(publish.publish)
app.add_typer(migrate.app, name="migrate")
app.add_typer(dlq.app, name="dlq")
app.add_typer(lanes.app, name="lanes")
app.command("replay")(replay.replay_events)
app.command()(trace.trace)
app.command()(report.report)
app.command("prune")(prune.prune_audit)
app.add_typer(cards.app, name="cards")
app.command()(schema.schema)
app.add_typer(config.app, name="config")
app.command()(doctor)
app.command()(top)
app.add_typer(keys.app, name="keys")


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("notifier"))


def main() -> None:
    """Run the command line; errors are one message on standard error, without a traceback."""
    try:
        app()
    except NotifierError as exc:
        typer.echo(f"notifier: {exc}", err=True)
        sys.exit(exc.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
