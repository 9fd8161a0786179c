"""Write the first files of a new card, made from a shipped card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from notifier.config import assets

_MODEL = "claim_approved"
_SAMPLES = "samples"


def starter_files(
    name: str, event_type: str, fields: Sequence[str], stakeholders: Sequence[str]
) -> dict[str, str]:
    """Return the text of each file by its path in the folder.

    The files are the card, its Arabic twin, the fields and a sample.

    Args:
        name: Of the card.
        event_type: Of the sample.
        fields: Data fields; the first is the heading, and required.
        stakeholders: Where the sample goes until its type has a route.
    """
    sample: JsonValue = {
        "type": event_type,
        "correlation_id": "corr-1",
        "time": "2026-11-24T09:55:12Z",
        "source": "example",
        "stakeholders": list(stakeholders),
        "data": {field: f"Example of {_label(field)}" for field in fields},
    }
    return {
        f"{name}.json": _text(_card(_MODEL, fields, value="${{{}}}")),
        f"{name}.ar.json": _text(_card(f"{_MODEL}.ar", fields, value="\u2068${{{}}}\u2069")),
        "fields.toml": "\n".join(_field(name, field, field == fields[0]) for field in fields),
        f"{_SAMPLES}/{event_type}.json": _text(sample),
    }


def route_line(name: str, event_type: str, stakeholders: Sequence[str]) -> str:
    """Return the route from an event type to a card, as TOML."""
    channels = ", ".join(f'"{channel}"' for channel in stakeholders)
    return f'"{event_type}" = {{ priority = "INFO", stakeholders = [{channels}], card = "{name}" }}'


def shipped_files(name: str) -> dict[str, str]:
    """Return the templates of a shipped card, in all its languages."""
    folder = assets.cards_dir()
    paths = [folder / f"{name}.json", *sorted(folder.glob(f"{name}.*.json"))]
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}


def _card(model: str, fields: Sequence[str], *, value: str) -> JsonValue:
    card = json.loads((assets.cards_dir() / f"{model}.json").read_text(encoding="utf-8"))
    heading = value.format(f"if(empty(data.{fields[0]}), event.type, data.{fields[0]})")
    facts = [
        {
            "$when": f"${{!empty(data.{field})}}",
            "title": _label(field),
            "value": value.format(f"data.{field}"),
        }
        for field in fields
    ]
    first, last = card["body"][0], card["body"][-1]
    text = {
        "type": "TextBlock",
        "text": heading,
        "wrap": True,
        "size": "Large",
        "weight": "Bolder",
    }
    return {
        **card,
        "fallbackText": heading,
        "speak": heading,
        "body": [
            first,
            {**text, "style": "heading"},
            {"type": "FactSet", "spacing": "Medium", "facts": facts},
            last,
        ],
        "actions": card["actions"][:1],
    }


def _field(card: str, field: str, required: bool) -> str:
    return f'[{card}.{field}]\ntype = "string"\nrequired = {str(required).lower()}\ndoc = "{_label(field)}."\n'


def _label(field: str) -> str:
    return field.replace("_", " ").capitalize()


def _text(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def with_fields(there: str, new: str) -> str:
    """Add tables to the text of a fields.toml; existing tables stay."""
    tables = [f"[{table}" for table in f"\n{new}".split("\n[")[1:]]
    headings = {line.strip() for line in there.splitlines()}
    missing = [table for table in tables if table.partition("\n")[0] not in headings]
    return "\n\n".join(text.strip() for text in (there, *missing) if text.strip()) + "\n"


def written_over(folder: Path, files: Sequence[str]) -> list[Path]:
    """Return the files that exist already, without fields.toml."""
    return [
        folder / name for name in files if name != "fields.toml" and (folder / name).exists()
    ]
