"""notifier dlq: dead letters."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.progress import Progress

from notifier.broker.consumer import Consumer
from notifier.broker.keys import Keys
from notifier.cli.files import read_json
from notifier.cli.filters import (
    dead_letter_id,
    letter_filter,
    require_channel,
    require_known_channel,
)
from notifier.cli.formats import (
    AlwaysJsonOption,
    FormatOption,
    JsonOnly,
    JsonOnlyOption,
    JsonOption,
    wants_json,
)
from notifier.cli.options import (
    CommandError,
    ConfigOption,
    plain,
    print_json,
    require_one,
    settings,
    with_redis,
)
from notifier.cli.tables import print_table
from notifier.cli.times import METAVAR
from notifier.config import Config
from notifier.dead_letters import listing as deadletters
from notifier.dead_letters.audit import DeadLetterAudit
from notifier.dead_letters.listing import DeadLetter, Filter
from notifier.dead_letters.model import Reason
from notifier.dead_letters.replay import Replayer
from notifier.dead_letters.service import DeadLetterService
from notifier.errors import NotifierError, UnreachableError
from notifier.events.masking import Masking
from notifier.events.routing import Catalogue

app = typer.Typer(
    help="Dead letters: what could not be delivered, why, and what to do with it.",
    no_args_is_help=True,
)

ReasonOption = Annotated[
    Reason | None,
    typer.Option(
        metavar="REASON", help=f"Only this reason: {', '.join(Reason)}.", show_default=False
    ),
]
ChannelOption = Annotated[
    str | None, typer.Option(help="Only this channel.", show_default=False)
]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="Only this event type.", show_default=False)
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar=METAVAR,
        help="Only those that died at this time or later: 2h, today, 2026-11-24T10:00 (UTC), …+03:00.",
        show_default=False,
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar=METAVAR,
        help="Only those that died before this time.",
        show_default=False,
    ),
]
IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", parser=dead_letter_id, show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="All of them.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
RateOption = Annotated[
    float, typer.Option(min=0, help="How many a second at most; 0 = no limit.")
]
ByOption = Annotated[
    str | None,
    typer.Option(help="Who does it, for the record; default: the user.", show_default=False),
]


@app.command("list")
def list_letters(
    config: ConfigOption = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, newest first.")] = 100,
    reason: ReasonOption = None,
    channel: ChannelOption = None,
    event_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """List dead letters, newest first; with --format json an array."""
    loaded = settings(config)
    masking = Masking.of(loaded.masking.fields, loaded.masking.exempt)
    wanted = letter_filter(reason, channel, event_type, since, until)

    async def read(group: Consumer) -> list[DeadLetter]:
        found = await deadletters.list_dead_letters(
            group, loaded.streams, masking, limit=limit, wanted=wanted
        )
        if not found:
            await require_known_channel(group, loaded, masking, channel)
        return found

    found = with_redis(loaded, read)
    if wants_json(form, as_json):
        print_json([letter.whole() for letter in found])
        return
    if not found:
        none = "there are no dead letters" if wanted == Filter() else "no dead letter matches"
        typer.echo(none)
        return
    columns = ("reason", "channel", "event type", "correlation id", "status", "detail")
    names = ("reason", "channel", "event_type", "correlation_id", "last_status", "detail")
    print_table(
        ("id", *columns),
        [(letter.id, *(letter.fields.get(name, "") for name in names)) for letter in found],
        whole=("id",),
    )


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", parser=dead_letter_id)],
    config: ConfigOption = None,
    _form: JsonOnlyOption = JsonOnly.JSON,
    _as_json: AlwaysJsonOption = False,
) -> None:
    """Print one dead letter whole, as JSON, patient data masked."""
    loaded = settings(config)
    masking = Masking.of(loaded.masking.fields, loaded.masking.exempt)
    letter = with_redis(
        loaded,
        lambda group: deadletters.show_dead_letter(group, loaded.streams, masking, letter_id),
    )
    print_json(letter.whole())


@app.command()
def replay(
    ids: IdsArgument = None,
    config: ConfigOption = None,
    reason: ReasonOption = None,
    channel: ChannelOption = None,
    event_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    everything: AllOption = False,
    dry_run: DryOption = False,
    rate: RateOption = 10.0,
    edit: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with the event to replay in place of the one ID given; - for standard input.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Channel to send them to in place of their own; one that has had the event already keeps its letter.",
            show_default=False,
        ),
    ] = None,
    by: ByOption = None,
    why: Annotated[
        str | None, typer.Option(help="Why, for the record.", show_default=False)
    ] = None,
) -> None:
    """Put dead letters back to work, by ID or by filter, oldest first.

    A notification goes into its channel's lane again under its own id, so that its row and its links stay; an entry that
    never became an event is read again. Replaying twice does nothing. Who, when and why goes into Postgres.
    """
    wanted = letter_filter(reason, channel, event_type, since, until)
    _require_choice(ids, wanted, everything)
    edited = _edited(edit, ids)
    loaded = settings(config)
    require_channel(loaded, to, "--to")

    async def one(desk: DeadLetterService, letter: DeadLetter) -> _Told:
        if dry_run:
            return _Told(f"would go to {', '.join(await desk.places(letter, edited, to))}")
        replayed = await desk.replay(
            letter, who=by or getpass.getuser(), why=why, edited=edited, to=to
        )
        if not replayed.done:
            return _Told("was replayed by another", by_another=True)
        return _Told(f"went to {', '.join(replayed.places)}")

    verb = "would be replayed" if dry_run else "replayed"
    _each(loaded, ids, wanted, one, rate=rate, verb=verb)


@app.command()
def discard(
    why: Annotated[str, typer.Option(help="Why, for the record.")],
    ids: IdsArgument = None,
    config: ConfigOption = None,
    reason: ReasonOption = None,
    channel: ChannelOption = None,
    event_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    everything: AllOption = False,
    dry_run: DryOption = False,
    by: ByOption = None,
) -> None:
    """Take dead letters away for good; what they held, who did it and why stays in Postgres."""
    wanted = letter_filter(reason, channel, event_type, since, until)
    _require_choice(ids, wanted, everything)
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="--why")

    async def one(desk: DeadLetterService, letter: DeadLetter) -> _Told:
        if dry_run:
            return _Told("would be discarded")
        done = await desk.discard(letter, who=by or getpass.getuser(), why=why)
        return _Told("discarded") if done else _Told("was gone already", by_another=True)

    verb = "would be discarded" if dry_run else "discarded"
    _each(settings(config), ids, wanted, one, rate=0, verb=verb)


@dataclass(frozen=True, slots=True)
class _Told:
    """What became of one letter."""

    text: str
    by_another: bool = False


def _require_choice(ids: list[str] | None, wanted: Filter, everything: bool) -> None:
    require_one(
        {"IDs": ids, "filters": wanted != Filter(), "--all": everything},
        param_hint="ID, --reason, --channel, --type, --since, --until, --all",
    )


def _edited(path: Path | None, ids: list[str] | None) -> dict[str, JsonValue] | None:
    if path is None:
        return None
    if len(ids or ()) != 1:
        raise typer.BadParameter("goes with one ID", param_hint="--edit")
    event = read_json(path)
    if not isinstance(event, dict):
        raise CommandError(f"{path}: is not an event; give one JSON object")
    return event


def _each(
    config: Config,
    ids: Sequence[str] | None,
    wanted: Filter,
    work: Callable[[DeadLetterService, DeadLetter], Awaitable[_Told]],
    *,
    rate: float,
    verb: str,
) -> None:
    """Do something with each letter that is meant, oldest first, and say how many; the exit code is 1 when one could not be done."""
    masking = Masking.of(config.masking.fields, config.masking.exempt)

    async def run(group: Consumer) -> int:
        log = DeadLetterAudit(
            config.database.url, connect_timeout_seconds=config.database.connect_timeout_seconds
        )
        replayer = Replayer(
            Catalogue(config.routes, config.channels), masking, config.intake.max_event_bytes
        )
        desk = DeadLetterService(group, log, replayer)
        try:
            failed = done = others = 0
            console = Console(stderr=True)
            with Progress(
                console=console, transient=True, disable=not console.is_terminal
            ) as progress:
                bar = progress.add_task("dead letters", total=await _most(group, config, ids))
                async for letter in _chosen(group, config, masking, ids, wanted):
                    try:
                        told = await work(desk, letter)
                    except UnreachableError:
                        raise
                    except NotifierError as exc:
                        failed += 1
                        typer.echo(plain(f"{letter.id}: stays: {exc}").plain, err=True)
                    else:
                        typer.echo(plain(f"{letter.id}: {told.text}").plain)
                        done += not told.by_another
                        others += told.by_another
                    progress.advance(bar)
                    if rate:
                        await asyncio.sleep(1 / rate)
            if not done + failed + others:
                await require_known_channel(group, config, masking, wanted.channel)
                typer.echo("there are no such dead letters")
                return 0
            typer.echo(_total(verb, done, failed, others))
            return failed
        finally:
            await log.close()

    if with_redis(config, run):
        raise typer.Exit(1)


def _total(verb: str, done: int, failed: int, others: int) -> str:
    parts = [f"{done} {verb}"]
    if failed:
        parts.append(f"{failed} stay{'s' if failed == 1 else ''}")
    if others:
        parts.append(f"{others} gone meanwhile")
    return ", ".join(parts)


async def _most(group: Consumer, config: Config, ids: Sequence[str] | None) -> int:
    """Return how many letters there are to look at."""
    if ids:
        return len(ids)
    return sum([await group.length(Keys(stream).dead) for stream in config.streams])


async def _chosen(
    group: Consumer,
    config: Config,
    masking: Masking,
    ids: Sequence[str] | None,
    wanted: Filter,
) -> AsyncIterator[DeadLetter]:
    if not ids:
        async for letter in deadletters.every_dead_letter(
            group, config.streams, masking, wanted
        ):
            yield letter
        return
    # Whether all of them exist is known before anything is done.
    for letter in [
        await deadletters.show_dead_letter(group, config.streams, masking, letter_id)
        for letter_id in ids
    ]:
        yield letter
