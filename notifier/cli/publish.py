"""notifier publish: put events on the stream as any producer does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.progress import Progress

from notifier.cli.options import (
    CommandError,
    ConfigOption,
    print_json,
    read_json,
    settings,
    with_redis,
)
from notifier.cli.preview import preview_cards
from notifier.errors import EventError, NotifierError
from notifier.events import to_event
from notifier.notifications import Notification
from notifier.provenance import ProducerKey, key_bytes, parse_producer_key, sign
from notifier.streams.group import ConsumerGroup
from notifier.tracecontext import clean_tracestate, parse_traceparent

Events = list[tuple[str, dict[str, JsonValue]]]
"""Where each event comes from (for messages), and its members."""


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show route and cards; publish nothing.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Publish events, from flags, a file, or JSON lines on standard input.

    With TEAMS_PRODUCER_KEY=name:key in the environment they are signed. Bad events are reported with their place and exit code 1; good ones are published all the same.
    """
    loaded = settings(config)
    if (event_type is None) == (file is None):
        raise typer.BadParameter("give an event TYPE, or --file", param_hint="TYPE")
    faults: list[str] = []
    if file is not None:
        events = list(_from_file(file, faults))
    else:
        named = {
            "type": event_type, "id": event_id, "correlation_id": correlation_id, "priority": priority,
            "stakeholders": stakeholders, "lang": lang, "source": source, "time": time,
        }  # fmt: skip
        events = [
            (
                "event",
                {**{k: v for k, v in named.items() if v}, "data": _data(data, field or [])},
            )
        ]
    trace = _trace(traceparent)
    # An event of a file may be of a trace of its own.
    events = [
        (place, members if members.get("traceparent") else {**members, **trace})
        for place, members in events
    ]
    good = [(place, members) for place, members in events if _is_sound(place, members, faults)]
    if dry_run:
        for place, members in good:
            try:
                _show(place, preview_cards(loaded, members))
            except NotifierError as exc:
                faults.append(f"{place}: {exc}")
    elif good:
        chosen = stream or loaded.streams[0]
        key = _signing_key()
        ids = with_redis(loaded, lambda group: _publish(group, chosen, good, key))
        typer.echo(ids[0] if len(ids) == 1 else f"published {len(ids)} events to {chosen}")
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        raise typer.Exit(1)


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


def _signing_key() -> ProducerKey | None:
    """Return the key of TEAMS_PRODUCER_KEY, if there is one."""
    text = os.environ.get("TEAMS_PRODUCER_KEY")
    try:
        return parse_producer_key(text) if text else None
    except ValueError as exc:
        raise CommandError(f"TEAMS_PRODUCER_KEY: {exc}") from None


async def _publish(
    group: ConsumerGroup, stream: str, events: Events, key: ProducerKey | None
) -> list[str]:
    ids: list[str] = []
    console = Console(stderr=True)
    with Progress(
        console=console, disable=len(events) < 20 or not console.is_terminal
    ) as progress:
        for _, members in progress.track(events, description="publishing"):
            fields = {"event": json.dumps(members, ensure_ascii=False)}
            if key is not None:
                fields = sign(key.name, key_bytes(key), fields)
            ids.append(await group.add(stream, fields))
    return ids


def _from_file(file: Path, faults: list[str]) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    if str(file) == "-":
        yield from _lines(sys.stdin.read(), faults)
        return
    if file.suffix in (".jsonl", ".ndjson"):
        yield from _lines(file.read_text(encoding="utf-8"), faults)
        return
    parsed = read_json(file)
    for number, item in enumerate(parsed if isinstance(parsed, list) else [parsed], start=1):
        if isinstance(item, dict):
            yield f"{file.name} event {number}", item
        else:
            faults.append(f"{file.name} event {number}: is not a JSON object")


def _lines(text: str, faults: list[str]) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError:
            faults.append(f"line {number}: is not valid JSON")
            continue
        if isinstance(item, dict):
            yield f"line {number}", item
        else:
            faults.append(f"line {number}: is not a JSON object")


def _data(text: str | None, pairs: list[str]) -> dict[str, JsonValue]:
    try:
        data: JsonValue = json.loads(text) if text else {}
    except ValueError:
        raise CommandError(
            '--data: is not valid JSON; write for example \'{"claim_id": "CLM-1"}\''
        ) from None
    if not isinstance(data, dict):
        raise CommandError("--data: is not a JSON object; write {...}")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(f"--field {name}: write name=value")
        data[name] = value
    return data


def _is_sound(place: str, members: dict[str, JsonValue], faults: list[str]) -> bool:
    try:
        to_event("", "0-0", members)
    except EventError as exc:
        faults.append(f"{place}: {exc}")
        return False
    return True


def _show(place: str, drawn: list[tuple[Notification, JsonValue]]) -> None:
    first = drawn[0][0]
    channels = ", ".join(item.channel for item, _ in drawn)
    typer.echo(f"{place}: {first.event_type} {first.priority} → {channels} (card {first.card})")
    print_json(drawn[0][1])
