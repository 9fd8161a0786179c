"""notifier trace: the whole way of an event, by any of its ids."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import groupby
from typing import Annotated

import typer
from pydantic import JsonValue, TypeAdapter
from rich.console import Console

from notifier.broker.client import close, connect
from notifier.cli.options import ConfigOption, JsonOption, settings
from notifier.cli.output import output, plain, print_json, print_table
from notifier.config import Config
from notifier.ops.trace import Step, Timeline, TraceResult, TraceSearch, steps_of
from notifier.ops.trace.models import DeadLetterHit, Intake, Published
from notifier.store.database import Database
from notifier.store.rows import DeadLetterActionRow

_STATEMENT_SECONDS = 5.0
_FOUND = TypeAdapter(TraceResult)
_STEPS = TypeAdapter(list[Step])


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
            "--card", help="Print the cards too, as they were sent but for their links."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the timeline of an event: attempts, card, actions, dead letters.

    It looks into Postgres and Redis and does with one while the other is away. Exit code 1: nothing was found; 4: nothing
    was found, and a server could not be asked.
    """
    loaded = settings(config)
    found = asyncio.run(_find(loaded, wanted, limit, cards=card))
    if as_json:
        print_json(_whole(found))
    else:
        _show(found, cards=card)
    if found.nothing:
        raise typer.Exit(4 if any(looked.problem for looked in found.looked) else 1)


async def _find(config: Config, wanted: str, limit: int, *, cards: bool) -> TraceResult:
    client = connect(config.redis)
    try:
        database = Database(
            config.database.url,
            config.database.connect_timeout_seconds,
            _STATEMENT_SECONDS,
            name="notifier trace",
        )
        finder = TraceSearch(client, config.redis, database.connection)
        return await finder.find(config, wanted, limit=limit, cards=cards)
    finally:
        await close(client)


def _whole(found: TraceResult) -> JsonValue:
    whole: dict[str, JsonValue] = _FOUND.dump_python(found, mode="json")
    journeys: list[JsonValue] = []
    for journey, written in zip(
        found.journeys, _FOUND.dump_python(found, mode="json")["journeys"], strict=True
    ):
        steps = _STEPS.dump_python(steps_of(journey), mode="json")
        journeys.append({"state": journey.state.value, **written, "steps": steps})
    return {**whole, "journeys": journeys}


def _show(found: TraceResult, *, cards: bool) -> None:
    console = output()
    by_event = groupby(
        found.journeys, key=lambda journey: (journey.identity.stream, journey.identity.event_id)
    )
    told: set[tuple[str, str]] = set()
    for (stream, event_id), group in by_event:
        journeys = list(group)
        told.add((stream, event_id))
        _show_event(console, journeys)
        for published in found.published:
            if (published.stream, published.event_id) == (
                stream,
                event_id,
            ) and published.intake is not Intake.TAKEN_IN:
                console.print(plain(f"  also entry {published.entry_id}: {_intake(published)}"))
        for journey in journeys:
            _show_journey(console, journey)
            if cards and journey.ended is not None:
                print_json(journey.ended.card)
    for published in found.published:
        if (published.stream, published.event_id or "") not in told:
            console.print(plain(_published(published)))
    for letter in found.letters:
        console.print(plain(_letter(letter)))
    for revival in found.revivals:
        console.print(plain(_revival(revival)))
    if found.more:
        console.print(
            f"There are more; these are the newest {len(found.journeys)}. See --limit."
        )
    _show_looked(console, found)


def _show_looked(console: Console, found: TraceResult) -> None:
    for looked in found.looked:
        if looked.problem:
            console.print(
                plain(f"{looked.place} could not be asked ({looked.how}): {looked.problem}")
            )
    if not found.nothing:
        return
    console.print(plain(f"Nothing was found for {found.query}."))
    console.print("Looked at:")
    for looked in found.looked:
        if not looked.problem:
            console.print(plain(f"  {looked.place}: {looked.how}"))
    console.print("Why that may be:")
    for cause in found.causes:
        console.print(plain(f"  - {cause}"))


def _show_event(console: Console, journeys: list[Timeline]) -> None:
    identity = journeys[0].identity
    line = f"event {identity.event_id}  {identity.event_type}  {identity.priority}  correlation {identity.correlation_id}"
    if identity.trace_id:
        line += f"  trace {identity.trace_id}"
    console.print(plain(line), style="bold")


def _show_journey(console: Console, journey: Timeline) -> None:
    identity = journey.identity
    rows: list[tuple[str, str, str, str]] = []
    before: datetime | None = None
    for step in steps_of(journey):
        after = (step.at - before).total_seconds() if step.at and before else None
        shown = "" if after is None else _after(after)
        rows.append((_time(step.at), shown, step.what, step.detail))
        before = step.at or before
    print_table(
        ("time (UTC)", "after", "what", ""),
        rows,
        title=f"{identity.channel}  {journey.state.value.replace('_', ' ')}  notification {identity.id}",
        console=console,
    )


def _time(at: datetime | None) -> str:
    return "now" if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def _after(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _intake(published: Published) -> str:
    match published.intake:
        case Intake.UNREAD:
            return "waits in the event stream; no daemon with the stage intake has read it"
        case Intake.IN_HAND:
            return f"read by {published.consumer}, not taken in yet"
        case Intake.DUPLICATE:
            return f"dropped: its event id was accepted before, as entry {published.accepted_entry}"
        case Intake.TAKEN_IN:
            return "taken in"


def _published(published: Published) -> str:
    name = (
        f"event {published.event_id}  {published.event_type}"
        if published.event_id
        else "an entry that is not an event"
    )
    fault = f" ({published.fault})" if published.fault else ""
    return f"{name}{fault}, {published.stream} entry {published.entry_id}, published {_time(published.at)}: {_intake(published)}"


def _letter(letter: DeadLetterHit) -> str:
    return (
        f"dead letter {letter.id} of {letter.stream}, from {letter.stage}, entry {letter.source_id}, {letter.dead_at}: "
        f"{letter.reason}: {letter.detail} (see: notifier dlq show {letter.id})"
    )


def _revival(revival: DeadLetterActionRow) -> str:
    verb = "replayed" if revival.action == "replay" else "discarded"
    why = f": {revival.why}" if revival.why else ""
    corrected = "; with a corrected event" if revival.edited else ""
    event = f", event {revival.event_id}" if revival.event_id else ""
    return f"dead letter {revival.letter_id} ({revival.reason}) {verb} {_time(revival.at)} by {revival.who}{why}{corrected}{event}"
