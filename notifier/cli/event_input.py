"""Events as they are given on a command line: by options, in a file, or as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import typer
from pydantic import JsonValue

from notifier.cli.files import read_json, read_text
from notifier.errors import EventError
from notifier.events.entry import Event, parse_entry
from notifier.events.json import MAX_DEPTH, json_object, to_exact_json

Members = dict[str, JsonValue]


def event_text(members: Mapping[str, JsonValue]) -> str:
    """Write an event as the JSON of the field `event`; raises ValueError for a number that JSON has not."""
    return to_exact_json(members)


def accepted(stream: str, members: Mapping[str, JsonValue], *, max_bytes: int) -> Event:
    """Read an event as the daemon will once it is published.

    Raises:
        EventError: The daemon would refuse it; names the field at fault and the fix.
    """
    # Half of a surrogate pair is let through here, for the daemon's own check to name.
    try:
        raw = event_text(members).encode(errors="surrogatepass")
    except RecursionError:
        raise EventError("event", f"is nested too deeply; the limit is {MAX_DEPTH}") from None
    return parse_entry(stream, "0-0", {b"event": raw}, max_bytes=max_bytes)


def data_of(text: str | None, pairs: list[str]) -> Members:
    """Return the data that --data and --field give; raises typer.BadParameter."""
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


def events_of_file(file: Path, faults: list[str]) -> Iterator[tuple[str, Members]]:
    """Yield each event of a file with its place; what is none goes into `faults`. Raises CommandError."""
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
    # Only line feeds: JSON may hold the other signs that Python ends lines at.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json_object(f"line {number}", line)
        except EventError as exc:
            faults.append(str(exc))
