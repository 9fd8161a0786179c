"""JSON of what is delivered and recorded: thousands of times a second, so written in C where that can be."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import orjson

_MARK = b" "


def to_json_bytes(value: object) -> bytes:
    """Return JSON as UTF-8 without spaces; what UTF-8 cannot hold becomes `?`, and times are RFC 3339.

    Raises:
        TypeError: It holds what JSON does not know.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return _written_plainly(value)


def to_marked_json(value: object) -> bytes:
    """Return JSON as to_json_bytes does, with a space in front where orjson may read it. Raises as that."""
    try:
        return _MARK + orjson.dumps(value)
    except TypeError:
        return _written_plainly(value)


def from_marked_json(text: bytes) -> Any:
    """Read what to_marked_json, or anything else, wrote; numbers have any size, exactly.

    Raises:
        ValueError: It is not JSON.
    """
    # orjson would round a number beyond 64 bits, and what another program or version wrote may hold one.
    return orjson.loads(text) if text.startswith(_MARK) else json.loads(text)


def _written_plainly(value: object) -> bytes:
    # Numbers beyond 64 bits and lone surrogates, both of which an event may bring.
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_written_time)
    return text.encode(errors="replace")


def _written_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
