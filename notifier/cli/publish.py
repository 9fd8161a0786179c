"""notifier publish: put events on the stream as any producer does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.files import read_json, read_text
from notifier.cli.options import (
    ConfigOption,
    JsonOption,
    QuietOption,
    require_one,
    settings,
    with_redis,
)
from notifier.errors import EventError, NotifierError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from notifier.broker.streams import Streams
    from notifier.config import Config
    from notifier.events.producer_signature import ProducerKey
    from notifier.ops.publishing import AcceptedEvent, Members


def publish(
    event_type: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="Event type; or give --file.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="JSON object with the data.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="One data member as name=value; repeat it.")
    ] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Identity of the event.")] = None,
    correlation_id: Annotated[
        str | None, typer.Option(help="Identity of what the event is about.")
    ] = None,
    priority: Annotated[
        str | None, typer.Option(help="CRITICAL, HIGH, MEDIUM, LOW or INFO.")
    ] = None,
    stakeholders: Annotated[str | None, typer.Option(help="Comma list of channels.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language of the card: en or ar.")] = None,
    source: Annotated[str | None, typer.Option(help="System that publishes the event.")] = None,
    time: Annotated[str | None, typer.Option(help="When it happened (RFC 3339).")] = None,
    traceparent: Annotated[
        str | None,
        typer.Option(
            help="Place in your trace (W3C Trace Context); default: TRACEPARENT and TRACESTATE of the environment."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="JSON file with an event or an array of events; JSON lines; - for standard input.",
        ),
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Event stream; default: the first configured.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also to a stream that is not among the configured ones."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show route and cards; publish nothing.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Publish events from options, a file, or JSON lines on standard input.

    With TEAMS_PRODUCER_KEY=name:key in the environment they are signed. Bad events are reported with their place and exit
    code 1; good ones are still published. Warnings name events that would become dead letters, and data that no
    card shows.
    """
    from notifier.cli.output import print_result, printable
    from notifier.ops import publishing

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
        events = list(_events_of_file(file, faults))
    else:
        given = {name: text for name, text in {"type": event_type, **named}.items() if text}
        events = [("event", {**given, "data": _data_of(data, field or [])})]
    trace = _trace(traceparent)
    # An event of a file may be of a trace of its own.
    events = [
        (place, members if members.get("traceparent") else {**members, **trace})
        for place, members in events
    ]
    good = list(publishing.accept(loaded, events, faults))
    key = publishing.signing_key(os.environ)
    now = datetime.now(UTC)
    warnings = publishing.warnings(loaded, good, key, os.environ, now, routes=not dry_run)
    for warning in warnings:
        typer.echo(printable(f"warning: {warning}"), err=True)
    document: dict[str, object] = {"stream": chosen, "dry_run": dry_run}
    text = ""
    if dry_run:
        document["events"], text = _previewed(loaded, good, faults)
    else:
        ids = (
            with_redis(loaded, lambda streams: _publish(streams, chosen, good, key))
            if good
            else []
        )
        document["events"] = [
            {"place": each.place, "event_id": each.event.id, "entry_id": entry_id}
            for each, entry_id in zip(good, ids, strict=True)
        ]
        text = ids[0] if len(ids) == 1 else f"published {len(ids)} events to {chosen}"
    if as_json or (text and good):
        document |= {"refused": faults, "warnings": warnings}
        print_result(document, text, as_json=as_json, quiet=quiet)
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        raise typer.Exit(1)


def _events_of_file(file: Path, faults: list[str]) -> Iterator[tuple[str, Members]]:
    """Yield each event of a file with its place; note other values as faults.

    Raises:
        CommandError: The file cannot be read.
    """
    if str(file) == "-" or file.suffix in (".jsonl", ".ndjson"):
        yield from _lines(read_text(file), faults)
        return
    parsed = read_json(file)
    for number, item in enumerate(parsed if isinstance(parsed, list) else [parsed], start=1):
        if isinstance(item, dict):
            yield f"{file.name} event {number}", item
        else:
            faults.append(f"{file.name} event {number}: is not a JSON object")


def _lines(text: str, faults: list[str]) -> Iterator[tuple[str, Members]]:
    from notifier.events.json import json_object

    # Only line feeds: JSON may hold the other signs that Python ends lines at.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json_object(f"line {number}", line)
        except EventError as exc:
            faults.append(str(exc))


def _data_of(text: str | None, pairs: list[str]) -> dict[str, JsonValue]:
    """Return the data that --data and --field give; raises typer.BadParameter."""
    from notifier.events.json import json_object

    try:
        data = json_object("data", text) if text else {}
    except EventError as exc:
        example = '{"claim_id": "CLM-1"}'
        raise typer.BadParameter(
            f"{exc.fault}; for example '{example}'", param_hint="--data"
        ) from None
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{pair}: write name=value", param_hint="--field")
        data[name] = value
    return data


def _refuse_members(options: Mapping[str, object]) -> None:
    """Raise BadParameter if members of one event are given beside a file."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(
            f"does not go with {', '.join(given)}: write this into the events of the file, or give an event TYPE in place of --file",
            param_hint="--file",
        )


def _chosen_stream(streams: Sequence[str], stream: str | None, *, force: bool) -> str:
    if stream is not None and stream not in streams and not force:
        raise typer.BadParameter(
            f"{stream} is not a stream that the daemon reads: {', '.join(streams)}; --force publishes there",
            param_hint="--stream",
        )
    return stream or streams[0]


def _trace(given: str | None) -> dict[str, JsonValue]:
    """Return the trace to continue.

    An invalid one in the environment is ignored, as the specification requires.
    """
    from notifier.events.trace_context import clean_tracestate, parse_traceparent

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
    streams: Streams, stream: str, events: Sequence[AcceptedEvent], key: ProducerKey | None
) -> list[str]:
    from rich.console import Console
    from rich.progress import Progress

    from notifier.ops import publishing

    ids: list[str] = []
    console = Console(stderr=True)
    with Progress(
        console=console, disable=len(events) < 20 or not console.is_terminal
    ) as progress:
        bar = progress.add_task("publishing", total=len(events))
        async for entry_id in publishing.publish(streams, stream, events, key):
            ids.append(entry_id)
            progress.advance(bar)
    return ids


def _previewed(
    config: Config, events: Sequence[AcceptedEvent], faults: list[str]
) -> tuple[list[dict[str, object]], str]:
    """Return where each event goes and its card, for programs and people.

    Raises:
        ConfigError: The configured cards cannot be used.
    """
    from notifier.cards.library import configured_cards
    from notifier.cli.output import json_text
    from notifier.ops import publishing

    cards = configured_cards(config)
    documents: list[dict[str, object]] = []
    texts: list[str] = []
    for each in events:
        try:
            rendered = publishing.preview_cards(config, each.members, cards)
        except NotifierError as exc:
            faults.append(f"{each.place}: {exc}")
            continue
        first, card = rendered[0]
        channels = [item.channel for item, _ in rendered]
        documents.append(
            {
                "place": each.place,
                "event_type": first.event_type,
                "priority": first.priority,
                "channels": channels,
                "template": first.card,
                "card": card,
            }
        )
        texts.append(
            f"{each.place}: {first.event_type} {first.priority} → {', '.join(channels)} (card {first.card})"
        )
        texts.append(json_text(card))
    return documents, "\n".join(texts)
