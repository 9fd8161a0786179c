"""JSON of what is delivered and recorded: thousands of times a second, so written in C where that can be."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from notifier.events.numerals import SentNumber, sent_number

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
        return orjson.dumps(value, _as_sent)
    except TypeError:
        return orjson.dumps(_writable(value), _as_sent)


def to_marked_json(value: object) -> bytes:
    """Return JSON as to_json_bytes does, with a space in front where orjson reads it as it was. Raises as that."""
    as_sent = False

    def written(number: object) -> orjson.Fragment:
        nonlocal as_sent
        as_sent = True
        return _as_sent(number)

    try:
        text = orjson.dumps(value, written)
    except TypeError:
        return orjson.dumps(_writable(value), _as_sent)
    return text if as_sent else _MARK + text


def from_marked_json(text: bytes) -> Any:
    """Read what to_marked_json, or anything else, wrote; numbers have any size, exactly, and the digits they were sent with.

    Raises:
        ValueError: It is not JSON.
    """
    # orjson would round a number beyond 64 bits, and what another program or version wrote may hold one.
    try:
        return orjson.loads(text) if text.startswith(_MARK) else _EXACT.decode(text.decode())
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def to_indented_json(value: object) -> str:
    """Return JSON for people, two blanks a level, numbers with the digits they were sent with; what JSON does not know is written as text."""
    try:
        return orjson.dumps(value, _or_text, _INDENTED).decode()
    except TypeError:
        return orjson.dumps(_writable(value), _or_text, _INDENTED).decode()


def to_exact_json(value: object) -> str:
    """Return JSON with halves of surrogate pairs as they are; raises ValueError for a number that JSON has not."""
    if isinstance(value, SentNumber):
        return value.text
    if isinstance(value, dict):
        members = (
            f"{to_exact_json(str(key))}:{to_exact_json(each)}" for key, each in value.items()
        )
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(to_exact_json, value))}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def without_nul(text: bytes) -> bytes:
    """Return JSON with U+FFFD for each NUL, the one character that Postgres' jsonb refuses."""
    # Hardly any text holds one, and this looks for it in C.
    return _ESCAPED_NUL.sub(rb"\1\\ufffd", text) if _NUL in text else text


_EXACT = json.JSONDecoder(parse_float=sent_number)
_INDENTED = (
    orjson.OPT_INDENT_2
    | orjson.OPT_NON_STR_KEYS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_LEAST, _MOST = -(2**63), 2**64 - 1


def _as_sent(value: object) -> orjson.Fragment:
    if isinstance(value, SentNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _or_text(value: object) -> object:
    return _as_sent(value) if isinstance(value, SentNumber) else str(value)


def _writable(value: object) -> object:
    """Return the value with what orjson refuses, numbers beyond 64 bits and lone surrogates, as it can write it."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return orjson.Fragment(str(value))
    return value
