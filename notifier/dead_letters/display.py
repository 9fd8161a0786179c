"""Show a dead letter and its event without patient data."""

from __future__ import annotations

import json

from pydantic import JsonValue

from notifier.cards.redact_links import without_links
from notifier.dead_letters.model import RECORDER, DeadLetter
from notifier.events.json import exact_json, nested_deeper
from notifier.events.masking import Masking, mask_event_data

_LONGEST = 1_000_000
_SHOWN = 2_000
_DEEPEST = 64
"""Masking goes through an event level by level, and would run out of stack."""

_Sizes = dict[str, JsonValue]


class _UnreadableError(ValueError):
    """A text cannot be masked; says why, without any of it."""


def masked(dead_letter: DeadLetter, masking: Masking) -> dict[str, JsonValue]:
    """Return a dead letter as JSON, as `dlq`, console and audit show it."""
    holds_outcome = dead_letter.fields.get("stage") == RECORDER
    event = shown_event(dead_letter.raw, masking, holds_outcome=holds_outcome)
    return {
        "id": dead_letter.id,
        "stream": dead_letter.stream,
        **dead_letter.fields,
        "event": event,
    }


def shown_event(text: str, masking: Masking, *, holds_outcome: bool = False) -> JsonValue:
    """Return an event masked, or its size and fault if it cannot be read.

    Args:
        text: The event as a dead letter keeps it.
        masking: Names the members that hold patient data.
        holds_outcome: It is an outcome with the card as it was posted, of which links are removed.
    """
    try:
        event = _opened(text)
    except _UnreadableError as exc:
        return _sizes(text, str(exc))
    if not isinstance(event, dict):
        return _sizes(text, "is JSON but not an object")
    fields = event.get("fields")
    if isinstance(fields, dict):
        return {"fields": _shown_fields(fields, masking)}
    shown = mask_event_data(event, Masking(masking.fields, masking.exempt | {"event.name"}))
    return without_links(shown) if holds_outcome else shown


def _shown_fields(fields: dict[str, JsonValue], masking: Masking) -> dict[str, JsonValue]:
    """Mask the fields of an entry, or return all sizes if one is unreadable.

    A patient that the unreadable field names may be in any of them.
    """
    opened: dict[str, JsonValue] = {}
    faults: dict[str, str] = {}
    for name, value in fields.items():
        try:
            opened[name] = _opened_field(value, masking)
        except _UnreadableError as exc:
            faults[name] = str(exc)
    if faults:
        return {name: _sizes(value, faults.get(name)) for name, value in fields.items()}
    return {
        name: value[:_SHOWN] if isinstance(value, str) else value
        for name, value in mask_event_data(opened, masking).items()
    }


def _opened_field(value: JsonValue, masking: Masking) -> JsonValue:
    if not isinstance(value, str):
        raise _UnreadableError("is not UTF-8")
    if value.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return _opened(value)
    lowered = value.lower()
    if "\\u" in lowered or any(name in lowered for name in masking.fields):
        # It may be broken JSON, or a query.
        raise _UnreadableError("names a masked member outside of JSON")
    return value


def _opened(text: str) -> JsonValue:
    if len(text) > _LONGEST:
        raise _UnreadableError(f"is longer than {_LONGEST} characters")
    try:
        opened = exact_json(text)
    except json.JSONDecodeError as exc:
        raise _UnreadableError(f"is not JSON from character {exc.pos + 1} on") from None
    except RecursionError:
        raise _UnreadableError("is nested too deeply") from None
    except ValueError:
        raise _UnreadableError(
            "is not JSON: it holds NaN, an infinity, or a number of thousands of digits"
        ) from None
    if nested_deeper(opened, _DEEPEST):
        raise _UnreadableError("is nested too deeply")
    return opened


def _sizes(value: JsonValue, fault: str | None) -> _Sizes:
    text = value if isinstance(value, str) else json.dumps(value)
    sizes: _Sizes = {"bytes": len(text.encode(errors="replace"))}
    return sizes if fault is None else {**sizes, "fault": fault}
