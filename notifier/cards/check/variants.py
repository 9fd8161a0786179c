"""The data a card must stand: full, only what is required, nothing, and the worst that an event can hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import JsonValue

Fields = Mapping[str, Mapping[str, Mapping[str, object]]]
"""Card → field → type, required, doc, as in fields.toml."""

WITH_COMMAS = "commas in all amounts"
COMMA_AMOUNT = "917,654,321.5"
_OF_MONEY = re.compile(
    r"amount|(?:^|_)(?:balance|charge|copay|cost|deductible|fee|paid|payable|premium|price|sum|total)s?$",
    re.I,
)
"""Names of members that hold an amount of money."""
_HOSTILE = "**x** [y](http://evil.example) <at>z</at> \u202e`_#\n- 1. ${data} {{DATE(x)}} "
_EVENT_BYTES = 200_000
"""Data of an event that intake still takes: more would never come to a card."""
_ENTRY_BYTES = 200
_LONG = (_HOSTILE + "مطالبة ") * 60


def read_fields(*folders: Path) -> Fields:
    """Return the documented data fields of each card, those of later folders over those of earlier ones.

    Raises:
        ValueError: A file is not TOML, or a field of it is not a table.
    """
    merged: dict[str, dict[str, Mapping[str, object]]] = {}
    for folder in folders:
        for card, fields in _fields_of(folder).items():
            merged[card] = {**merged.get(card, {}), **fields}
    return merged


def _fields_of(folder: Path) -> Fields:
    path = folder / "fields.toml"
    if not path.is_file():
        return {}
    found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    strays = [
        name
        for card, fields in found.items()
        for name in (
            [
                f"{card}.{field}"
                for field, about in fields.items()
                if not isinstance(about, dict)
            ]
            if isinstance(fields, dict)
            else [card]
        )
    ]
    if strays:
        raise ValueError(f"{strays[0]} is not a table; write [card.field]")
    return cast("Fields", found)


def variants(
    data: Mapping[str, JsonValue],
    fields: Mapping[str, Mapping[str, object]],
    read: Collection[str] = (),
) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Yield names and data to render a card with, made from the data of a sample; `read` are members that it reads."""
    required = {name for name, field in fields.items() if field.get("required")}
    yield "the sample", dict(data)
    yield (
        "only required fields",
        {name: value for name, value in data.items() if name in required},
    )
    yield "no data", {}
    known = {*data, *fields}
    names = sorted(known | ({*read} - {name.lower() for name in known}))
    amounts = [
        name
        for name in names
        if _OF_MONEY.search(name) or fields.get(name, {}).get("type") == "amount"
    ]
    if amounts:
        yield WITH_COMMAS, {**data, **dict.fromkeys(amounts, COMMA_AMOUNT)}
    yield "null everywhere", dict.fromkeys(names)
    yield "long hostile text everywhere", dict.fromkeys(names, _LONG)
    yield "numbers everywhere", dict.fromkeys(names, -1234567.891)
    most = max(20, min(300, _EVENT_BYTES // (_ENTRY_BYTES * max(1, len(names)))))
    yield "long lists everywhere", {name: _many(name, most) for name in names}
    yield "nested objects everywhere", {name: {"a": {"b": [1, None]}} for name in names}


def _many(name: str, count: int) -> list[JsonValue]:
    return [
        {"description": _HOSTILE, "amount": "1,000.5", "name": name, "value": number}
        if number % 2
        else _HOSTILE * 3
        for number in range(count)
    ]
