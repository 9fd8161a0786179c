"""JSON of events, notifications and outcomes: exact numbers, in C."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Never, TypeVar

import msgspec
import orjson
from pydantic import JsonValue

from notifier.errors import EventError
from notifier.events.numerals import SentNumber, sent_number

Model = TypeVar("Model", bound=msgspec.Struct)


class NoSuchNumberError(ValueError):
    """A text holds NaN, Infinity or -Infinity, which JSON does not have."""


MAX_DEPTH = 32
"""Deepest nesting of `data` that is accepted; cards show two levels."""

MAX_VALUES = 30_000
"""Most values in `data`, lists and objects among them: what goes through them all must not hold others up."""


def json_object(
    field: str, text: str, *, most_values: int = MAX_VALUES
) -> dict[str, JsonValue]:
    """Read the JSON object that a field holds, with exact numbers.

    Raises:
        EventError: It is something else, or what no card could show; names the field and the fix, never the value.
    """
    try:
        parsed = exact_json(text)
    except RecursionError:
        raise EventError(field, f"is nested too deeply; the limit is {MAX_DEPTH}") from None
    except json.JSONDecodeError as exc:
        fault = f"is not valid JSON at character {exc.pos + 1}; send one JSON object"
        raise EventError(field, fault) from None
    except NoSuchNumberError as exc:
        raise EventError(field, f"is not valid JSON: {exc}") from None
    except ValueError:
        raise EventError(field, "is not valid JSON; send one JSON object") from None
    if not isinstance(parsed, dict):
        raise EventError(field, "is JSON but not an object; send {...}")
    # There are no more values than characters.
    if len(text) > most_values and more_values_than(parsed, most_values):
        raise EventError(field, f"holds more than {MAX_VALUES} values; send fewer, or a link")
    if text.count("{") + text.count("[") > MAX_DEPTH and nested_deeper(parsed, MAX_DEPTH):
        raise EventError(field, f"is nested too deeply; the limit is {MAX_DEPTH}")
    if "\\u" in text and _LONE_SURROGATE.search(json.dumps(parsed, ensure_ascii=False)):
        raise EventError(field, "holds half of a Unicode surrogate pair; send valid Unicode")
    return parsed


def exact_json(text: str) -> JsonValue:
    """Read any JSON, also after a byte order mark, with exact numbers.

    Raises:
        json.JSONDecodeError: It is not JSON; says where.
        NoSuchNumberError: It holds NaN or an infinity, which some libraries write.
        ValueError: It holds a whole number of thousands of digits.
        RecursionError: It is nested too deeply.
    """
    text = text.removeprefix("\ufeff")
    try:
        found: JsonValue = _READER.decode(text)
    except (ValueError, OverflowError):
        # The standard library is slower, knows where the fault is, and takes what a double cannot hold.
        found = _EXACT_READER.decode(text)
    return found


def reader(model: type[Model]) -> Callable[[bytes], Model]:
    """Return a reader of a model's JSON.

    It raises ValueError on anything else.

    It ignores members that it does not know: a process of a later version may have written them.
    """
    usual = msgspec.json.Decoder(model, float_hook=SentNumber)
    exact = msgspec.json.Decoder(model, float_hook=sent_number)

    def read(text: bytes) -> Model:
        try:
            return usual.decode(text)
        except OverflowError:
            return exact.decode(text)
        except RecursionError:
            raise ValueError("is nested too deeply") from None

    return read


def to_json(model: msgspec.Struct | tuple[msgspec.Struct, ...]) -> bytes:
    """Return a model, or several, as JSON; what UTF-8 cannot hold becomes `?`."""
    try:
        return _WRITER.encode(model)
    except (TypeError, UnicodeEncodeError):
        return orjson.dumps(_writable(model), _as_written)


def to_json_bytes(value: object) -> bytes:
    """Return JSON as UTF-8 without spaces.

    Characters that UTF-8 cannot hold become `?`, and times are RFC 3339.

    Raises:
        TypeError: It holds what JSON does not know.
    """
    try:
        return orjson.dumps(value, _as_written)
    except TypeError:
        return orjson.dumps(_writable(value), _as_written)


def to_indented_json(value: object) -> str:
    """Return JSON for people, with numbers as they were sent.

    It indents by two spaces, and writes values that JSON lacks as text.
    """
    try:
        return orjson.dumps(value, _or_text, _INDENTED).decode()
    except TypeError:
        return orjson.dumps(_writable(value), _or_text, _INDENTED).decode()


def to_exact_json(value: object) -> str:
    """Return JSON with halves of surrogate pairs unchanged.

    Raises:
        ValueError: A number is not one of JSON.
    """
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
    """Return JSON with U+FFFD for NUL, which Postgres' jsonb refuses."""
    # Hardly any text holds one, and this looks for it in C.
    return _ESCAPED_NUL.sub(rb"\1\\ufffd", text) if _NUL in text else text


def nested_deeper(value: JsonValue, limit: int) -> bool:
    """Return whether lists and objects are nested deeper than this."""
    level: list[JsonValue] = [value]
    for _ in range(limit):
        below: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True


def more_values_than(value: JsonValue, limit: int) -> bool:
    """Return whether lists and objects hold more values than this."""
    waiting: list[JsonValue] = [value]
    count = 0
    while waiting and count <= limit:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        count += 1
    return count + len(waiting) > limit + 1


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("a whole number has too many digits")
    return int(text)


def _refuse_constant(_: str) -> Never:
    raise NoSuchNumberError(
        "it knows no NaN and no Infinity; send null or leave the member out"
    )


def _as_raw(value: object) -> msgspec.Raw:
    if isinstance(value, SentNumber):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


def _as_written(value: object) -> orjson.Fragment:
    if isinstance(value, SentNumber):
        return orjson.Fragment(value.text)
    if isinstance(value, msgspec.Raw):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def _or_text(value: object) -> object:
    return _as_written(value) if isinstance(value, SentNumber) else str(value)


def _writable(value: object) -> object:
    """Return the value in a form that orjson can write.

    It refuses numbers beyond 64 bits and lone surrogates.
    """
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return orjson.Fragment(str(value))
    return value


_READER = msgspec.json.Decoder(float_hook=SentNumber)
_MOST_DIGITS = 4300
"""Longest whole number that the readers of models take, with its sign: what this one takes goes through them later."""
_EXACT_READER = json.JSONDecoder(
    parse_float=sent_number, parse_int=_whole_number, parse_constant=_refuse_constant
)
_WRITER = msgspec.json.Encoder(enc_hook=_as_raw)
_INDENTED = (
    orjson.OPT_INDENT_2
    | orjson.OPT_NON_STR_KEYS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_LEAST, _MOST = -(2**63), 2**64 - 1
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_NUL = rb"\u0000"
# An even number of backslashes before it are pairs; otherwise its own backslash is escaped, and the rest is plain text.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
