"""Word the faults of settings, without their values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, JsonValue
from pydantic_core import ErrorDetails

from notifier.config.models import Channel, Route
from notifier.config.section import CLOCK, HEADER, NAME, STREAM

_BARE = re.compile(r"[A-Za-z0-9_]+")
_NAMED: dict[str, type[BaseModel]] = {"channels": Channel, "routes": Route}
"""Sections with keys that the operator chooses."""
_TABLES = {
    "channels": 'a table, such as sre = { title = "SRE" }',
    "routes": 'a table, such as "a.b" = { priority = "HIGH", stakeholders = ["sre"] }',
}
_PATTERNS = {
    NAME: 'must begin with a lower-case letter and contain only a-z, 0-9 and _, such as "sre" or "claims_team"',
    CLOCK: 'must be a time of day in four digits, such as "08:00"',
    HEADER: 'must be the name of a header, such as "X-Forwarded-User", or empty',
    STREAM: 'must be a name without spaces and braces, such as "teams:events"',
}
_EXAMPLES: dict[str, JsonValue] = {
    "stakeholders": ["sre", "devops"],
    "aliases": ["claim.denied"],
    "chain": ["sre", "devops"],
    "title": "Claims",
    "trusted_proxies": ["127.0.0.1"],
    "allowed_hosts": ["notifier.example.com"],
}
"""Examples of settings that are shipped empty or not at all."""
_KINDS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and a smaller one",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a text in quotes",
    "tuple_type": "must be a list in square brackets",
    "string_too_short": "must not be empty",
    "too_short": "needs at least one entry",
    "ip_any_network": 'must be an address or a network, such as "10.0.0.0/8"',
    "missing": "is missing",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be more than"),
    "less_than_equal": ("le", "may be at most"),
    "less_than": ("lt", "must be less than"),
}


def describe(
    errors: Sequence[ErrorDetails],
    shipped: Mapping[str, JsonValue],
    sources: Mapping[tuple[str, str], str],
) -> list[str]:
    """Return one line for each fault.

    Args:
        errors: The errors of the model.
        shipped: The shipped settings, a source of examples.
        sources: The environment variable that set a key, by section and key.
    """
    places = [error["loc"] for error in errors]
    return [
        _line(error, shipped, sources)
        for error in errors
        # A list of wrong entries counts as empty too: report it once.
        if not (error["type"] == "too_short" and _deeper(error["loc"], places))
    ]


def _deeper(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    return any(other[: len(place)] == place and len(other) > len(place) for other in places)


def _line(
    error: ErrorDetails,
    shipped: Mapping[str, JsonValue],
    sources: Mapping[tuple[str, str], str],
) -> str:
    place = error["loc"]
    fault = _fault(error, shipped)
    variable = next((name for keys, name in sources.items() if keys == place[:2]), None)
    source = f" (from {variable})" if variable else ""
    key = key_path(place)
    return f"{key}: {fault}{source}" if key else fault


def key_path(place: Sequence[int | str]) -> str:
    """Write a key as in config.toml, with quotes where they are needed."""
    key = ""
    for part in place:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part != "[key]":
            chosen = key == "routes" or not _BARE.fullmatch(part)
            key += ("." if key else "") + (f'"{part}"' if chosen else part)
    return key


def _fault(error: ErrorDetails, shipped: Mapping[str, JsonValue]) -> str:
    kind, place, context = error["type"], error["loc"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown setting; {_nearest(place, shipped)}see config.toml for all settings"
    if kind == "string_pattern_mismatch" and context.get("pattern") in _PATTERNS:
        what = _PATTERNS[context["pattern"]]
        return f"the name {what}" if place[-1] == "[key]" else what
    if kind in ("literal_error", "enum"):
        return f"must be one of {_listed(context['expected'])}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {context[bound]:g}"
    if kind == "string_too_long":
        return f"may have at most {context['max_length']} characters"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        table = _TABLES.get(str(place[0])) if len(place) > 1 else None
        return f"must be {table or f'a table: [{place[0]}], and its keys on lines below it'}"
    if kind in _KINDS:
        return _KINDS[kind] + _example(place, shipped)
    return error["msg"].removeprefix("Value error, ")


def _listed(expected: str) -> str:
    names = re.findall(r"'([^']*)'", expected)
    return ", ".join(f'"{name}"' for name in names)


def _example(place: Sequence[int | str], shipped: Mapping[str, JsonValue]) -> str:
    value: JsonValue | Mapping[str, JsonValue] = shipped
    for part in place:
        value = value.get(str(part)) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        value = value[:2]
    if not value or isinstance(value, Mapping):
        value = _EXAMPLES.get(str(place[-1]))
    return "" if value is None or isinstance(value, bool) else f", such as {json.dumps(value)}"


def _nearest(place: Sequence[int | str], shipped: Mapping[str, JsonValue]) -> str:
    siblings: JsonValue | Mapping[str, JsonValue] = shipped
    for part in place[:-1]:
        siblings = siblings.get(str(part)) if isinstance(siblings, Mapping) else None
    known = list(siblings) if isinstance(siblings, Mapping) else []
    if len(place) == 3 and place[0] in _NAMED:
        known = list(_NAMED[str(place[0])].model_fields)
    near = get_close_matches(str(place[-1]), known, 1)
    return f"did you mean {near[0]}? else " if near else ""
