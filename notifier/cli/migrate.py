"""notifier migrate: the database schema."""

from __future__ import annotations

from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, print_json, settings
from notifier.store import migrations

app = typer.Typer(
    help="Bring the database schema up or down, or say where it stands.", no_args_is_help=True
)


@app.command()
def up(config: ConfigOption = None) -> None:
    """Apply the migrations that are missing; safe to repeat."""
    applied = migrations.migrate_up(settings(config).database.url)
    typer.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@app.command()
def down(
    config: ConfigOption = None,
    steps: Annotated[int, typer.Option(min=1, help="How many migrations to roll back.")] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Roll back the latest migrations; the data in what they made are lost."""
    stdin = typer.get_text_stream("stdin")
    if not yes and stdin.isatty():
        typer.confirm(f"Roll back {steps} migration(s) and lose the data in them?", abort=True)
    gone = migrations.migrate_down(settings(config).database.url, steps=steps)
    typer.echo(
        "\n".join(f"rolled back {name}" for name in gone) or "there is nothing to roll back"
    )


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the migrations and when each was applied; exit 5 if one is missing."""
    found = migrations.status(settings(config).database.url)
    if as_json:
        print_json([{"id": item.id, "applied_at": item.applied_at} for item in found])
    else:
        for item in found:
            typer.echo(
                f"{item.id}  {item.applied_at or 'not applied; run: notifier migrate up'}"
            )
    if any(item.applied_at is None for item in found):
        raise typer.Exit(5)
