"""notifier dlq: dead letters."""

from __future__ import annotations

import asyncio
import getpass
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from notifier.cli.files import read_event
from notifier.cli.options import (
    AllOption,
    AlwaysJsonOption,
    ByOption,
    ChannelOption,
    ConfigOption,
    DryRunOption,
    JsonOption,
    QuietOption,
    RateOption,
    RequiredWhyOption,
    SinceOption,
    TypeOption,
    UntilOption,
    WhyOption,
    YesOption,
    require_channel,
    require_known_channel,
    require_one,
    require_why,
    settings,
    with_redis,
)
from notifier.cli.output import confirm, print_json, print_result, print_table, printable
from notifier.cli.times import period
from notifier.dead_letters.model import DeadLetter, Reason
from notifier.errors import ExitCode, NotifierError, UnreachableError

if TYPE_CHECKING:
    from notifier.broker.streams import Streams
    from notifier.config import Config
    from notifier.dead_letters.listing import Filter
    from notifier.dead_letters.replay import DeadLetterService
    from notifier.events.masking import Masking

app = typer.Typer()

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def _dead_letter_id(text: str) -> str:
    """Return the typed id; raises typer.BadParameter if it is malformed."""
    if _ENTRY_ID.fullmatch(text) and max(map(int, text.split("-"))) < 2**64:
        return text
    raise typer.BadParameter(
        f"{text} is not the id of a dead letter, such as 1764000000000-0; see: notifier dlq list"
    )


def _reason(text: str) -> Reason:
    """Return the typed reason; raises typer.BadParameter if it is unknown."""
    if text in list(Reason):
        return Reason(text)
    raise typer.BadParameter(f"unknown reason {text}; reasons are {', '.join(Reason)}")


ReasonOption = Annotated[
    Reason | None,
    typer.Option(
        metavar="REASON", parser=_reason, help=f"Only this reason: {', '.join(Reason)}."
    ),
]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", parser=_dead_letter_id)
]


@app.command("list")
def list_dead_letters(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many at most, newest first.")
    ] = 100,
    reason: ReasonOption = None,
    channel: ChannelOption = None,
    event_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """List dead letters, newest first; with --json an array."""
    from notifier.dead_letters.display import masked
    from notifier.dead_letters.listing import newest_dead_letters, with_events

    loaded = settings(config)
    wanted = _filter(reason, channel, event_type, since, until)

    async def read(streams: Streams) -> list[DeadLetter]:
        found = await newest_dead_letters(streams, loaded.streams, wanted, limit=limit)
        if not found:
            await require_known_channel(streams, loaded, channel)
        return await with_events(streams, found) if as_json else found

    found = with_redis(loaded, read)
    if as_json:
        masking = _masking(loaded)
        print_json([masked(letter, masking) for letter in found])
        return
    if not found:
        every = wanted == type(wanted)()
        typer.echo("there are no dead letters" if every else "no dead letter matches")
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
    letter_id: Annotated[str, typer.Argument(metavar="ID", parser=_dead_letter_id)],
    config: ConfigOption = None,
    as_json: AlwaysJsonOption = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="The event alone, as it was kept: patient data is NOT masked."
        ),
    ] = False,
) -> None:
    """Print one dead letter whole, as JSON, patient data masked."""
    from notifier.dead_letters.display import masked
    from notifier.dead_letters.listing import find_dead_letter

    loaded = settings(config)
    letter = with_redis(
        loaded,
        lambda streams: find_dead_letter(streams, loaded.streams, letter_id),
    )
    if raw:
        typer.echo(printable(letter.raw))
    else:
        print_json(masked(letter, _masking(loaded)))


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
    dry_run: DryRunOption = False,
    rate: RateOption = 10.0,
    edit: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with the event to replay in place of the one ID given; - for standard input."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Channel to send them to in place of their own; if it already had the event, the dead letter stays."
        ),
    ] = None,
    by: ByOption = None,
    why: WhyOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay dead letters, by ID or by filter, oldest first.

    A notification goes into its channel's lane again under its own id, so that its row and its links stay valid. An entry
    that never became an event is read again. Replaying twice does nothing. Postgres keeps who did it, when and why.
    """
    wanted = _filter(reason, channel, event_type, since, until)
    _require_choice(ids, wanted, everything)
    if edit is not None and len(ids or ()) != 1:
        raise typer.BadParameter("needs exactly one ID", param_hint="--edit")
    edited = None if edit is None else read_event(edit)
    loaded = settings(config)
    require_channel(loaded, to, "--to")

    async def one(service: DeadLetterService, letter: DeadLetter) -> _Result:
        if dry_run:
            places = await service.places(letter, edited, to)
            return _Result("replayed", f"would go to {', '.join(places)}")
        replayed = await service.replay(
            letter, who=by or getpass.getuser(), why=why, edited=edited, to=to
        )
        if not replayed.done:
            return _Result("gone", "was replayed by another")
        return _Result("replayed", f"went to {', '.join(replayed.places)}")

    printer = _Printer("replayed", dry_run=dry_run, quiet=quiet, as_json=as_json)
    _each(loaded, ids, wanted, one, rate=rate, printer=printer)


@app.command()
def discard(
    why: RequiredWhyOption,
    ids: IdsArgument = None,
    config: ConfigOption = None,
    reason: ReasonOption = None,
    channel: ChannelOption = None,
    event_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    everything: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    by: ByOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove dead letters; their content and the reason stay in Postgres.

    Of an event that cannot be read only the size stays: see it first with dlq show --raw.
    """
    wanted = _filter(reason, channel, event_type, since, until)
    _require_choice(ids, wanted, everything)
    require_why(why)
    if not dry_run:
        which = f"{len(ids)} dead letters" if ids else "all these dead letters"
        confirm(f"Discard {which} permanently?", yes=yes)

    async def one(service: DeadLetterService, letter: DeadLetter) -> _Result:
        if dry_run:
            return _Result("discarded", "would be discarded")
        if await service.discard(letter, who=by or getpass.getuser(), why=why):
            return _Result("discarded", "discarded")
        return _Result("gone", "was gone already")

    printer = _Printer("discarded", dry_run=dry_run, quiet=quiet, as_json=as_json)
    _each(settings(config), ids, wanted, one, rate=0, printer=printer)


class _Result(NamedTuple):
    """The result for one dead letter."""

    result: str
    """replayed, discarded, failed, or gone: another command or the console was first."""
    detail: str


class _Printer:
    """Prints each result at once, then the total; JSON at the end."""

    def __init__(self, verb: str, *, dry_run: bool, quiet: bool, as_json: bool) -> None:
        self._verb, self._dry_run, self._quiet, self._as_json = verb, dry_run, quiet, as_json
        self._results: list[dict[str, str]] = []
        self.counts: Counter[str] = Counter()

    def add(self, letter_id: str, each: _Result) -> None:
        self.counts[each.result] += 1
        failed = each.result == "failed"
        if self._as_json:
            self._results.append({"id": letter_id, **each._asdict()})
        if failed or not (self._as_json or self._quiet):
            fault = f"not {self._verb}: " if failed else ""
            typer.echo(printable(f"{letter_id}: {fault}{each.detail}"), err=failed)

    def total(self) -> None:
        done, failed, gone = (self.counts[each] for each in (self._verb, "failed", "gone"))
        parts = [f"{done} {'would be ' if self._dry_run else ''}{self._verb}"]
        parts += [f"{failed} not"] if failed else []
        parts += [f"{gone} gone meanwhile"] if gone else []
        counts = {self._verb: done, "failed": failed, "gone": gone}
        print_result(
            {"dry_run": self._dry_run, **counts, "dead_letters": self._results},
            ", ".join(parts) if self.counts else "there are no such dead letters",
            as_json=self._as_json,
            quiet=self._quiet,
        )


def _filter(
    reason: Reason | None,
    channel: str | None,
    event_type: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """Return the wanted dead letters.

    Raises:
        typer.BadParameter: A time is invalid, or the period is empty.
    """
    from notifier.dead_letters.listing import Filter

    return Filter(reason, channel, event_type, *period(since, until))


def _require_choice(ids: list[str] | None, wanted: Filter, everything: bool) -> None:
    require_one(
        {"IDs": ids, "filters": wanted != type(wanted)(), "--all": everything},
        param_hint="ID, --reason, --channel, --type, --since, --until, --all",
    )


def _masking(config: Config) -> Masking:
    from notifier.events.masking import Masking

    return Masking.of(config.masking.fields, config.masking.exempt)


def _each(
    config: Config,
    ids: Sequence[str] | None,
    wanted: Filter,
    work: Callable[[DeadLetterService, DeadLetter], Awaitable[_Result]],
    *,
    rate: float,
    printer: _Printer,
) -> None:
    """Do the work for each wanted dead letter, oldest first.

    Raises:
        typer.Exit: It failed for one of them.
    """
    from rich.console import Console
    from rich.progress import Progress

    from notifier.dead_letters.audit import DeadLetterAudit
    from notifier.dead_letters.listing import chosen_dead_letters, count_dead_letters
    from notifier.dead_letters.replay import DeadLetterService, Replayer
    from notifier.events.routing import Catalogue

    catalogue = Catalogue(config.routes, config.channels)

    async def run(streams: Streams) -> None:
        audit = DeadLetterAudit(
            config.database.url, connect_timeout_seconds=config.database.connect_timeout_seconds
        )
        replayer = Replayer(catalogue, _masking(config), config.intake.max_event_bytes)
        service = DeadLetterService(streams, audit, replayer)
        most = len(ids or ()) or await count_dead_letters(streams, config.streams)
        console = Console(stderr=True)
        try:
            with Progress(
                console=console, transient=True, disable=not console.is_terminal
            ) as progress:
                bar = progress.add_task("dead letters", total=most)
                chosen = chosen_dead_letters(streams, config.streams, ids or (), wanted)
                async for letter in chosen:
                    try:
                        printer.add(letter.id, await work(service, letter))
                    except UnreachableError:
                        raise
                    except NotifierError as exc:
                        printer.add(letter.id, _Result("failed", str(exc)))
                    progress.advance(bar)
                    if rate:
                        await asyncio.sleep(1 / rate)
            if not printer.counts:
                await require_known_channel(streams, config, wanted.channel)
        finally:
            await audit.close()

    with_redis(config, run)
    printer.total()
    if printer.counts["failed"]:
        raise typer.Exit(ExitCode.FAILED)
