"""JSON of what is delivered and recorded: thousands of times a second, so written in C where that can be."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import orjson

_MARK = b" "
_NUL = rb"\u0000"
# Where the backslashes before it are escaped ones, in pairs; else its own backslash is escaped, and what follows are letters.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


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
    try:
        return orjson.loads(text) if text.startswith(_MARK) else json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def without_nul(text: bytes) -> bytes:
    """Return JSON with U+FFFD for each NUL, the one character that Postgres' jsonb refuses."""
    # Hardly any text holds one, and this looks for it in C.
    return _ESCAPED_NUL.sub(rb"\1\\ufffd", text) if _NUL in text else text


def _written_plainly(value: object) -> bytes:
    # Numbers beyond 64 bits and lone surrogates, both of which an event may bring.
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_written_time)
    return text.encode(errors="replace")


def _written_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
