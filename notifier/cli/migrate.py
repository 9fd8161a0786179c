"""notifier migrate: the database schema."""

from __future__ import annotations

from typing import Annotated

import typer

from notifier.cli.formats import FormatOption, JsonOption, wants_json
from notifier.cli.options import ConfigOption, print_json, settings
from notifier.store import migrations

TimeoutOption = Annotated[
    float, typer.Option(min=1, max=86_400, help="Seconds that one statement may take.")
]

app = typer.Typer(
    help="Bring the database schema up or down, or say where it stands.", no_args_is_help=True
)


@app.command()
def up(config: ConfigOption = None, timeout: TimeoutOption = 3600.0) -> None:
    """Apply the migrations that are missing; safe to repeat, to interrupt, and to run twice at once."""
    applied = migrations.migrate_up(settings(config).database.url, statement_seconds=timeout)
    typer.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@app.command()
def down(
    config: ConfigOption = None,
    steps: Annotated[int, typer.Option(min=1, help="How many migrations to roll back.")] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    timeout: TimeoutOption = 3600.0,
) -> None:
    """Roll back the latest migrations; the data in what they made are lost.

    Asks first, naming them; where there is no terminal to ask at, --yes has to say it.
    """
    url = settings(config).database.url
    latest = _latest(url, steps)
    if latest and not yes:
        _agree(", ".join(latest))
    gone = (
        migrations.migrate_down(url, steps=len(latest), statement_seconds=timeout)
        if latest
        else []
    )
    typer.echo(
        "\n".join(f"rolled back {name}" for name in gone) or "there is nothing to roll back"
    )


def _latest(url: str, steps: int) -> list[str]:
    """Return the ids of the latest migrations that are applied, the latest first."""
    applied = [item.id for item in migrations.status(url) if item.applied_at is not None]
    return applied[::-1][:steps]


def _agree(names: str) -> None:
    """Return when someone at a terminal agrees; raises typer.Abort or typer.BadParameter."""
    if not typer.get_text_stream("stdin").isatty():
        raise typer.BadParameter(
            f"needed where there is no terminal to ask at; {names} would be rolled back and the data in them lost",
            param_hint="--yes",
        )
    # On standard error, so that it is seen when the output goes elsewhere.
    typer.confirm(f"Roll back {names} and lose the data in them?", abort=True, err=True)


@app.command()
def status(
    config: ConfigOption = None, form: FormatOption = None, as_json: JsonOption = False
) -> None:
    """List the migrations and when each was applied; exit 5 if one is missing."""
    database = settings(config).database
    found = migrations.status(database.url, connect_seconds=database.connect_timeout_seconds)
    if wants_json(form, as_json):
        print_json([{"id": item.id, "applied_at": item.applied_at} for item in found])
    else:
        for item in found:
            typer.echo(
                f"{item.id}  {item.applied_at or 'not applied; run: notifier migrate up'}"
            )
    if any(item.applied_at is None for item in found):
        raise typer.Exit(5)
