"""notifier dlq: dead letters."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from notifier import deadletters
from notifier.cli.options import ConfigOption, JsonOption, print_json, settings, with_redis
from notifier.masking import Masking

app = typer.Typer(
    help="Dead letters: what could not be delivered, and why.", no_args_is_help=True
)


@app.command("list")
def list_letters(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, newest first.")] = 100,
    reason: Annotated[
        str | None, typer.Option(help="Only this reason, such as rejected.", show_default=False)
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="Only this channel.", show_default=False)
    ] = None,
) -> None:
    """List dead letters, newest first; with --json an array."""
    loaded = settings(config)
    masking = Masking.of(loaded.masking.fields, loaded.masking.exempt)
    found = with_redis(
        loaded,
        lambda group: deadletters.list_dead_letters(
            group, loaded.streams, masking, limit=limit, reason=reason, channel=channel
        ),
    )
    if as_json:
        print_json([letter.whole() for letter in found])
        return
    table = Table("id", "reason", "channel", "event type", "correlation id", "status", "detail")
    for letter in found:
        names = ("reason", "channel", "event_type", "correlation_id", "last_status", "detail")
        table.add_row(letter.id, *(letter.fields.get(name, "") for name in names))
    Console().print(table if found else "there are no dead letters")


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")], config: ConfigOption = None
) -> None:
    """Print one dead letter whole, patient data masked."""
    loaded = settings(config)
    masking = Masking.of(loaded.masking.fields, loaded.masking.exempt)
    letter = with_redis(
        loaded,
        lambda group: deadletters.show_dead_letter(group, loaded.streams, masking, letter_id),
    )
    print_json(letter.whole())
