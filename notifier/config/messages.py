"""Say in plain words what is wrong with a setting and what is wanted; the value at fault is left out, it may be a URL with a password. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, JsonValue
from pydantic_core import ErrorDetails

from notifier.config.models import Channel, Route
from notifier.config.patterns import CLOCK, HEADER, NAME, STREAM

_BARE = re.compile(r"[A-Za-z0-9_]+")
_NAMED: dict[str, type[BaseModel]] = {"channels": Channel, "routes": Route}
"""Sections whose keys the operator chooses."""
_TABLES = {
    "channels": 'a table, such as sre = { title = "SRE" }',
    "routes": 'a table, such as "a.b" = { priority = "HIGH", stakeholders = ["sre"] }',
}
_PATTERNS = {
    NAME: 'has to begin with a lower-case letter and hold nothing but a-z, 0-9 and _, such as "sre" or "claims_team"',
    CLOCK: 'has to be a time of day in four digits, such as "08:00"',
    HEADER: 'has to be the name of a header, such as "X-Forwarded-User", or empty',
    STREAM: 'has to be a name without blanks and braces, such as "teams:events"',
}
_EXAMPLES: dict[str, JsonValue] = {
    "stakeholders": ["sre", "devops"],
    "aliases": ["claim.denied"],
    "chain": ["sre", "devops"],
    "title": "Claims",
    "trusted_proxies": ["127.0.0.1"],
    "allowed_hosts": ["notifier.example.com"],
}
"""Of settings that are shipped empty or not at all."""
_KINDS = {
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_parsing_size": "has to be a whole number, and a smaller one",
    "int_from_float": "has to be a whole number",
    "float_type": "has to be a number",
    "float_parsing": "has to be a number",
    "finite_number": "has to be a number that is not endless",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "string_type": "has to be a text in quotes",
    "tuple_type": "has to be a list in square brackets",
    "string_too_short": "must not be empty",
    "too_short": "needs at least one entry",
    "ip_any_network": 'has to be an address or a network, such as "10.0.0.0/8"',
    "missing": "is missing",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "has to be at least"),
    "greater_than": ("gt", "has to be more than"),
    "less_than_equal": ("le", "may be at most"),
    "less_than": ("lt", "has to be less than"),
}


def describe(
    errors: Sequence[ErrorDetails],
    shipped: Mapping[str, JsonValue],
    sources: Mapping[tuple[str, str], str],
) -> list[str]:
    """Return one line for each fault.

    Args:
        errors: What the model said.
        shipped: The shipped settings, from which examples are taken.
        sources: The environment variable that set a key, by section and key.
    """
    places = [error["loc"] for error in errors]
    return [
        _line(error, shipped, sources)
        for error in errors
        # A list whose entries are all at fault counts as empty, too: once is enough.
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
    said = _said(error, shipped)
    variable = next((name for keys, name in sources.items() if keys == place[:2]), None)
    source = f" (from {variable})" if variable else ""
    key = written(place)
    return f"{key}: {said}{source}" if key else said


def written(place: Sequence[int | str]) -> str:
    """Write a key as config.toml would: what is not a bare word stands in quotes."""
    key = ""
    for part in place:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part != "[key]":
            chosen = key == "routes" or not _BARE.fullmatch(part)
            key += ("." if key else "") + (f'"{part}"' if chosen else part)
    return key


def _said(error: ErrorDetails, shipped: Mapping[str, JsonValue]) -> str:
    kind, place, context = error["type"], error["loc"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"there is no such setting; {_nearest(place, shipped)}see config.toml for all of them"
    if kind == "string_pattern_mismatch" and context.get("pattern") in _PATTERNS:
        what = _PATTERNS[context["pattern"]]
        return f"the name {what}" if place[-1] == "[key]" else what
    if kind in ("literal_error", "enum"):
        return f"has to be one of {_listed(context['expected'])}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {context[bound]:g}"
    if kind == "string_too_long":
        return f"may have {context['max_length']} characters at most"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        table = _TABLES.get(str(place[0])) if len(place) > 1 else None
        return f"has to be {table or f'a table: [{place[0]}], and its keys on lines below it'}"
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
