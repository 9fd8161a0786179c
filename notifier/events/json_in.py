"""The JSON that producers write: read exactly, or refused with what is wrong with it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Never

import orjson
from pydantic import JsonValue

from notifier.errors import EventError
from notifier.events.numerals import sent_number


class NoSuchNumberError(ValueError):
    """A text holds NaN, Infinity or -Infinity, which are no JSON."""


MAX_DEPTH = 32
"""Deepest nesting of `data` that is accepted; cards show two levels."""

MAX_VALUES = 30_000
"""Most values in `data`, lists and objects among them: what goes through them all must not hold others up."""


def json_object(
    field: str, text: str, *, most_values: int = MAX_VALUES
) -> dict[str, JsonValue]:
    """Read the JSON object that a field holds; numbers keep their value, whatever their size.

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
    if text.count(",") + text.count("[") + text.count("{") > most_values and (
        more_values_than(parsed, most_values)
    ):
        raise EventError(field, f"holds more than {MAX_VALUES} values; send fewer, or a link")
    if text.count("{") + text.count("[") > MAX_DEPTH and nested_deeper(parsed, MAX_DEPTH):
        raise EventError(field, f"is nested too deeply; the limit is {MAX_DEPTH}")
    if "\\u" in text and _LONE_SURROGATE.search(json.dumps(parsed, ensure_ascii=False)):
        raise EventError(field, "holds half of a Unicode surrogate pair; send valid Unicode")
    return parsed


def exact_json(text: str) -> JsonValue:
    """Read any JSON, also after a byte order mark; numbers keep their value, whatever their size.

    Raises:
        json.JSONDecodeError: It is not JSON; says where.
        NoSuchNumberError: It holds NaN or an infinity, which many a library writes.
        ValueError: It holds a whole number of thousands of digits.
        RecursionError: It is nested too deeply.
    """
    text = text.removeprefix("\ufeff")
    # orjson takes a fifth of the time, but rounds: where a number may be written in another way than it would be, and to say
    # what is wrong with other text, the standard library reads it.
    if not _UNUSUAL_NUMBER.search(text):
        with suppress(orjson.JSONDecodeError):
            found: JsonValue = orjson.loads(text)
            return found
    decoded: JsonValue = _DECODER.decode(text)
    return decoded


_UNUSUAL_NUMBER = re.compile(r"(?:[:\[,]|\A)\s*-?(?:[0-9]+[.eE]|[0-9]{16})")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse_constant(_: str) -> Never:
    raise NoSuchNumberError(
        "it knows no NaN and no Infinity; send null or leave the member out"
    )


_DECODER = json.JSONDecoder(parse_float=sent_number, parse_constant=_refuse_constant)


def nested_deeper(value: JsonValue, limit: int) -> bool:
    """Tell whether lists and objects stand within each other more often than this; without recursion, whatever the depth."""
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
    """Tell whether there are more values within lists and objects; looks at no more than it needs to know."""
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
