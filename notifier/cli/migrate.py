"""notifier migrate: the database schema."""

from __future__ import annotations

from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, QuietOption, YesOption, settings
from notifier.errors import ExitCode

TimeoutOption = Annotated[
    float, typer.Option(min=1, max=86_400, help="Seconds that one statement may take.")
]

app = typer.Typer()


@app.command()
def up(
    config: ConfigOption = None,
    timeout: TimeoutOption = 3600.0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Apply the missing migrations.

    Safe to repeat, to interrupt, and to run twice at once.
    """
    from notifier.cli.output import print_result
    from notifier.store import migrations

    applied = migrations.migrate_up(settings(config).database.url, statement_seconds=timeout)
    text = "\n".join(f"applied {name}" for name in applied) or "the schema is up to date"
    print_result({"applied": applied}, text, as_json=as_json, quiet=quiet)


@app.command()
def down(
    config: ConfigOption = None,
    steps: Annotated[int, typer.Option(min=1, help="How many migrations to roll back.")] = 1,
    yes: YesOption = False,
    timeout: TimeoutOption = 3600.0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Roll back the latest migrations; the data in them are lost.

    Asks first, naming them; without a terminal it needs --yes.
    """
    from notifier.cli.output import confirm, print_result
    from notifier.store import migrations

    url = settings(config).database.url
    applied = [item.id for item in migrations.status(url) if item.applied_at is not None]
    latest = applied[::-1][:steps]
    rolled_back: list[str] = []
    if latest:
        names = ", ".join(latest)
        if not yes and not typer.get_text_stream("stdin").isatty():
            raise typer.BadParameter(
                f"needed if there is no terminal; it would roll back {names} and lose the data in them",
                param_hint="--yes",
            )
        confirm(f"Roll back {names} and lose the data in them?", yes=yes)
        rolled_back = migrations.migrate_down(url, steps=len(latest), statement_seconds=timeout)
    text = "\n".join(f"rolled back {name}" for name in rolled_back)
    document = {"rolled_back": rolled_back}
    print_result(
        document, text or "there is nothing to roll back", as_json=as_json, quiet=quiet
    )


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the migrations and when each was applied; exit 5 if one is missing."""
    from notifier.cli.output import print_result
    from notifier.store import migrations

    database = settings(config).database
    found = migrations.status(database.url, connect_seconds=database.connect_timeout_seconds)
    print_result(
        [{"id": item.id, "applied_at": item.applied_at} for item in found],
        "\n".join(
            f"{item.id}  {item.applied_at or 'not applied; run: notifier migrate up'}"
            for item in found
        ),
        as_json=as_json,
    )
    if any(item.applied_at is None for item in found):
        raise typer.Exit(ExitCode.SCHEMA)
