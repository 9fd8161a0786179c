"""Make data to render a card with: full, scarce, none, and hostile."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pydantic import JsonValue

WITH_COMMAS = "commas in all amounts"
COMMA_AMOUNT = "917,654,321.5"
_OF_MONEY = re.compile(
    r"amount|(?:^|_)(?:balance|charge|copay|cost|deductible|fee|paid|payable|premium|price|sum|total)s?$",
    re.I,
)
"""Names of members that hold an amount of money."""
_HOSTILE = "**x** [y](http://evil.example) <at>z</at> \u202e`_#\n- 1. ${data} {{DATE(x)}} "
_EVENT_BYTES = 200_000
"""Data of an event that intake accepts: no card sees more."""
_ENTRY_BYTES = 200
_LONG = (_HOSTILE + "مطالبة ") * 60


def variants(
    data: Mapping[str, JsonValue],
    fields: Mapping[str, Mapping[str, object]],
    read: Collection[str] = (),
) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Yield name and data of each variant; `read` are members in use."""
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
