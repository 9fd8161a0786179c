"""notifier trace: the timeline of an event, by any of its ids."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, database, settings
from notifier.cli.output import output, plain, print_json, print_table
from notifier.errors import ExitCode

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from notifier.config import Config
    from notifier.ops.trace.models import DeadLetterHit, Published, Timeline, TraceResult
    from notifier.store.rows import DeadLetterActionRow

_STATEMENT_SECONDS = 5.0


def trace(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of an event, a stream entry, a notification, a digest or a dead letter; a correlation, claim or trace id.",
        ),
    ],
    config: ConfigOption = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", "-n", min=1, max=500, help="Notifications at most, newest first."
        ),
    ] = 20,
    card: Annotated[
        bool,
        typer.Option(
            "--card", help="Print the cards too, as they were sent, except their links."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the timeline of an event: attempts, card, actions, dead letters.

    It searches Postgres and Redis, and works while one of them is away. Exit code 1: nothing was found; 4: nothing
    was found, and a server did not answer.
    """
    from notifier.ops.trace.timeline import document

    found = asyncio.run(_find(settings(config), wanted, limit, cards=card))
    if as_json:
        print_json(document(found))
    else:
        _show(found, cards=card)
    if found.nothing:
        away = any(each.problem for each in found.searched)
        raise typer.Exit(ExitCode.UNREACHABLE if away else ExitCode.FAILED)


async def _find(config: Config, wanted: str, limit: int, *, cards: bool) -> TraceResult:
    from notifier.broker.streams import open_streams
    from notifier.ops.trace.search import TraceSearch

    async with open_streams(config.redis) as streams:
        search = TraceSearch(streams, database(config, "trace", _STATEMENT_SECONDS).connection)
        return await search.find(config, wanted, limit=limit, cards=cards)


def _show(found: TraceResult, *, cards: bool) -> None:
    from notifier.ops.trace.models import Intake

    console = output()
    for timelines in found.by_event:
        identity = timelines[0].identity
        line = f"event {identity.event_id}  {identity.event_type}  {identity.priority}  correlation {identity.correlation_id}"
        line += f"  trace {identity.trace_id}" if identity.trace_id else ""
        console.print(plain(line), style="bold")
        for entry in found.published:
            mine = (entry.stream, entry.event_id) == timelines[0].event
            if mine and entry.intake is not Intake.ACCEPTED:
                console.print(plain(f"  also entry {entry.entry_id}: {entry.described}"))
        for timeline in timelines:
            _show_timeline(console, timeline)
            if cards and timeline.ended is not None:
                print_json(timeline.ended.card)
    shown = {each.event for each in found.timelines}
    others = [each for each in found.published if (each.stream, each.event_id) not in shown]
    for line in (
        *map(_published, others),
        *map(_dead_letter, found.dead_letters),
        *map(_dead_letter_action, found.dead_letter_actions),
    ):
        console.print(plain(line))
    if found.more:
        many = len(found.timelines)
        console.print(f"There are more; these are the newest {many}. See --limit.")
    _show_searched(console, found)


def _show_searched(console: Console, found: TraceResult) -> None:
    whole = [each for each in found.searched if not each.problem]
    for each in found.searched:
        if each.problem:
            line = f"{each.place} could not be asked ({each.how}): {each.problem}"
            console.print(plain(line))
    if found.nothing:
        lines = [
            f"Nothing was found for {found.query}.",
            "Searched:",
            *(f"  {each.place}: {each.how}" for each in whole),
            "Possible causes:",
            *(f"  - {cause}" for cause in found.causes),
        ]
        for line in lines:
            console.print(plain(line))


def _show_timeline(console: Console, timeline: Timeline) -> None:
    from notifier.ops.trace.timeline import steps_of

    identity = timeline.identity
    rows: list[tuple[str, str, str, str]] = []
    before: datetime | None = None
    for step in steps_of(timeline):
        after = (step.at - before).total_seconds() if step.at and before else None
        shown = "" if after is None else _after(after)
        rows.append((_time(step.at), shown, step.what, step.detail))
        before = step.at or before
    print_table(
        ("time (UTC)", "after", "what", ""),
        rows,
        title=f"{identity.channel}  {timeline.state.name.lower().replace('_', ' ')}  notification {identity.id}",
        console=console,
    )


def _time(at: datetime | None) -> str:
    return "now" if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def _after(seconds: float) -> str:
    from notifier.telemetry.clock import duration

    return f"{seconds:.3f} s" if seconds < 60 else duration(seconds)


def _published(published: Published) -> str:
    name = (
        f"event {published.event_id}  {published.event_type}"
        if published.event_id
        else "an entry that is not an event"
    )
    fault = f" ({published.fault})" if published.fault else ""
    return f"{name}{fault}, {published.stream} entry {published.entry_id}, published {_time(published.at)}: {published.described}"


def _dead_letter(letter: DeadLetterHit) -> str:
    return (
        f"dead letter {letter.id} of {letter.stream}, from {letter.stage}, entry {letter.source_id}, {letter.dead_at}: "
        f"{letter.reason}: {letter.detail} (see: notifier dlq show {letter.id})"
    )


def _dead_letter_action(each: DeadLetterActionRow) -> str:
    verb = "replayed" if each.action == "replay" else "discarded"
    why = f": {each.why}" if each.why else ""
    corrected = "; with a corrected event" if each.edited else ""
    event = f", event {each.event_id}" if each.event_id else ""
    return f"dead letter {each.letter_id} ({each.reason}) {verb} {_time(each.at)} by {each.who}{why}{corrected}{event}"
