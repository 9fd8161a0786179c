"""notifier publish: put events on the stream as any producer does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.progress import Progress

from notifier.broker.consumer import Consumer
from notifier.cli.card_folder import configured_cards
from notifier.cli.event_input import Members, accepted, data_of, event_text, events_of_file
from notifier.cli.options import (
    ConfigOption,
    print_json,
    require_one,
    settings,
    with_redis,
)
from notifier.cli.preview import doubts, preview_cards, time_doubts, unshown
from notifier.cli.producer_key import signature_doubt, signed, signing_key
from notifier.config import Config
from notifier.errors import EventError, NotifierError
from notifier.events.entry import Event
from notifier.events.notification import Notification
from notifier.events.producer_signature import ProducerKey
from notifier.events.trace_context import clean_tracestate, parse_traceparent


@dataclass(frozen=True, slots=True)
class _Sound:
    """An event that the daemon accepts, and where it comes from (for messages)."""

    place: str
    members: Members
    event: Event


def publish(
    event_type: Annotated[
        str | None,
        typer.Argument(
            metavar="[TYPE]", help="Event type; or give --file.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="JSON object with the data.", show_default=False)
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="One data member as name=value; repeat it.", show_default=False),
    ] = None,
    event_id: Annotated[
        str | None, typer.Option("--id", help="Identity of the event.", show_default=False)
    ] = None,
    correlation_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    priority: Annotated[str | None, typer.Option(show_default=False)] = None,
    stakeholders: Annotated[
        str | None, typer.Option(help="Comma list of channels.", show_default=False)
    ] = None,
    lang: Annotated[str | None, typer.Option(show_default=False)] = None,
    source: Annotated[str | None, typer.Option(show_default=False)] = None,
    time: Annotated[str | None, typer.Option(help="RFC 3339.", show_default=False)] = None,
    traceparent: Annotated[
        str | None,
        typer.Option(
            help="Place in your trace (W3C Trace Context); default: TRACEPARENT and TRACESTATE of the environment.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with an event or an array of events; JSON lines; - for standard input.",
            show_default=False,
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="Event stream; default: the first configured.", show_default=False),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also to a stream that is not among the configured ones."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show route and cards; publish nothing.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Publish events, from flags, a file, or JSON lines on standard input.

    With TEAMS_PRODUCER_KEY=name:key in the environment they are signed. Bad events are reported with their place and exit code 1; good ones are published all the same. What would become a dead letter by this configuration's routes, or for want of a signature, is warned of, and so are members of data that no card shows.
    """
    loaded = settings(config)
    require_one({"an event TYPE": event_type, "--file": file}, param_hint="TYPE")
    named = {
        "id": event_id, "correlation_id": correlation_id, "priority": priority, "stakeholders": stakeholders,
        "lang": lang, "source": source, "time": time,
    }  # fmt: skip
    chosen = _chosen_stream(loaded.streams, stream, force=force)
    faults: list[str] = []
    if file is not None:
        _refuse_members({"data": data, "field": field, **named})
        events = list(events_of_file(file, faults))
    else:
        named = {"type": event_type, **named}
        events = [
            (
                "event",
                {**{k: v for k, v in named.items() if v}, "data": data_of(data, field or [])},
            )
        ]
    trace = _trace(traceparent)
    # An event of a file may be of a trace of its own.
    events = [
        (place, members if members.get("traceparent") else {**members, **trace})
        for place, members in events
    ]
    good = list(_sound(loaded, events, faults))
    key = signing_key(os.environ)
    doubt = signature_doubt(loaded, key, os.environ)
    if good and doubt:
        typer.echo(f"warning: {doubt}", err=True)
    for warning in time_doubts(((item.place, item.event) for item in good), datetime.now(UTC)):
        typer.echo(f"warning: {warning}", err=True)
    for warning in unshown(loaded, ((item.place, item.event) for item in good)):
        typer.echo(f"warning: {warning}", err=True)
    if dry_run:
        _preview(loaded, good, faults)
    elif good:
        for warning in doubts(loaded, ((item.place, item.event) for item in good)):
            typer.echo(f"warning: {warning}", err=True)
        ids = with_redis(loaded, lambda group: _publish(group, chosen, good, key))
        typer.echo(ids[0] if len(ids) == 1 else f"published {len(ids)} events to {chosen}")
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        raise typer.Exit(1)


def _refuse_members(options: Mapping[str, object]) -> None:
    """Raise typer.BadParameter when members of one event are given beside a file of events."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(
            f"does not go with {', '.join(given)}: write this into the events of the file, or give an event TYPE in place of --file",
            param_hint="--file",
        )


def _chosen_stream(streams: Sequence[str], stream: str | None, *, force: bool) -> str:
    if stream is not None and stream not in streams and not force:
        raise typer.BadParameter(
            f"{stream} is none of the streams that the daemon reads: {', '.join(streams)}; --force publishes there all the same",
            param_hint="--stream",
        )
    return stream or streams[0]


def _trace(given: str | None) -> dict[str, JsonValue]:
    """Return the trace to continue; what the environment says is ignored when it is not valid, as the specification wants."""
    if given is not None and parse_traceparent(given) is None:
        raise typer.BadParameter(
            "is not valid: 00-<32 hex>-<16 hex>-<2 hex>, lower case, no id all zeros",
            param_hint="--traceparent",
        )
    state = clean_tracestate(os.environ.get("TRACESTATE", "")) if given is None else None
    context = parse_traceparent(given or os.environ.get("TRACEPARENT", ""))
    if context is None:
        return {}
    found: dict[str, JsonValue] = {"traceparent": context.traceparent}
    return {**found, "tracestate": state} if state else found


async def _publish(
    group: Consumer, stream: str, events: list[_Sound], key: ProducerKey | None
) -> list[str]:
    ids: list[str] = []
    console = Console(stderr=True)
    with Progress(
        console=console, disable=len(events) < 20 or not console.is_terminal
    ) as progress:
        for item in progress.track(events, description="publishing"):
            fields = signed(key, {"event": event_text(item.members)})
            ids.append(await group.add(stream, fields))
    return ids


def _sound(
    config: Config, events: Iterable[tuple[str, Members]], faults: list[str]
) -> Iterator[_Sound]:
    read = partial(accepted, config.streams[0], max_bytes=config.intake.max_event_bytes)
    for place, given in events:
        members = given
        try:
            event = read(members)
            if event.id == event.entry_id:
                # A client repeats what it got no answer to, and the daemon drops the second of an id.
                members = {**members, "id": str(uuid4())}
                event = read(members)
        except EventError as exc:
            faults.append(f"{place}: {exc}")
        else:
            yield _Sound(place, members, event)


def _preview(config: Config, events: Sequence[_Sound], faults: list[str]) -> None:
    """Show where each goes and its card; raises ConfigError when the configured cards cannot be used."""
    cards = configured_cards(config)
    for item in events:
        try:
            _show(item.place, preview_cards(config, item.members, cards))
        except NotifierError as exc:
            faults.append(f"{item.place}: {exc}")


def _show(place: str, rendered: list[tuple[Notification, JsonValue]]) -> None:
    first = rendered[0][0]
    channels = ", ".join(item.channel for item, _ in rendered)
    typer.echo(f"{place}: {first.event_type} {first.priority} → {channels} (card {first.card})")
    print_json(rendered[0][1])
