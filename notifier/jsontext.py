"""JSON of what is delivered and recorded: thousands of times a second, so written in C where that can be."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json_bytes(value: object) -> bytes:
    """Return JSON as UTF-8; what UTF-8 cannot hold becomes `?`.

    It has no spaces, but for one in front where orjson could not write it, so that from_json_bytes knows.

    Raises:
        TypeError: It holds what JSON does not know.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # Numbers beyond 64 bits and lone surrogates, both of which an event may bring.
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return b" " + text.encode(errors="replace")


def from_json_bytes(text: bytes) -> Any:
    """Read what to_json_bytes wrote, numbers of any size exactly.

    Raises:
        ValueError: It is not JSON.
    """
    # orjson would round a number beyond 64 bits.
    return json.loads(text) if text.startswith(b" ") else orjson.loads(text)
