"""JSON of what is delivered and recorded: thousands of times a second, so written in C where that can be."""

from __future__ import annotations

import json

import orjson


def to_json_bytes(value: object) -> bytes:
    """Return JSON as UTF-8 without spaces; what UTF-8 cannot hold becomes `?`.

    Raises:
        TypeError: It holds what JSON does not know.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # Numbers beyond 64 bits and lone surrogates, both of which an event may bring.
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return text.encode(errors="replace")
