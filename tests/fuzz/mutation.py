"""Spoil sound inputs, with a Random that makes them repeatable."""

from __future__ import annotations

from random import Random
from typing import Any

NASTY = (
    "", " ", "\x00", "\x1b[31m", "\x85", "\u202e", "\u2066", "\ufeff", "\U0001f4a3", "é", "e\u0301", "\ud800", "١٢٣", "ß", "İ",
    "${", "}", "${$root}", "${1/0}", "${data[0]}", "'", '"', "\\", "\\u0000", "\\ud800", "<at>x</at>", "[a](javascript:1)", "*" * 50,
    "a" * 5000, "null", "NaN", "Infinity", "-0", "1e999", "1e-999", "9" * 400, "0x10", "1_000", "true", "2026-02-30", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", "PT1H", "[" * 200, "{" * 200, '{"a":' * 100, "(" * 200, "__proto__", "constructor", "..", "a.b", "a,b,,",
)  # fmt: skip
"""Texts that have broken programs before."""

ODD_TIMES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999999Z", "2026-01-31T24:00:00Z", "2026-06-30T23:59:60Z",
    "1769854500", "-62135596801", "253402300800", "1e18", "2026-01-31", "2026-01-31T10:15:00", "2026-01-31T10:15:00+23:59", "١٩٧٠-٠١-٠١T٠٠:٠٠:٠٠Z",
)  # fmt: skip

NUMBERS = (
    0, 1, -1, 2**31, 2**53 + 1, -(2**63), 10**300, 10**400, -(10**400), 0.1, -0.0, 1e308, 5e-324,
)  # fmt: skip


def text_of(random: Random, sound: str) -> str:
    """Return the text with one to four changes."""
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(sound))
        match random.randrange(7):
            case 0:
                sound = sound[:at] + random.choice(NASTY) + sound[at:]
            case 1:
                sound = sound[:at] + sound[at + random.randint(1, 8) :]
            case 2:
                end = at + random.randint(1, 12)
                sound = sound[:end] + sound[at:end] * random.randint(1, 4) + sound[end:]
            case 3:
                sound = sound[:at] + chr(random.randrange(0x20, 0x7F)) + sound[at + 1 :]
            case 4:
                sound = sound[:at] + chr(random.randrange(0xD800)) + sound[at:]
            case 5:
                other = random.randint(0, len(sound))
                sound = sound[:at] + sound[other : other + 20] + sound[at:]
            case _:
                sound = sound[:at]
    return sound[:20_000]


def bytes_of(random: Random, sound: bytes) -> bytes:
    """Return the bytes with one to four changes, also such as no text has."""
    if random.random() < 0.7:
        text = sound.decode(errors="replace")
        return text_of(random, text).encode(errors="surrogatepass")
    changed = bytearray(sound)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(changed))
        changed[at : at + random.randrange(3)] = random.randbytes(random.randrange(4))
    return bytes(changed)


def json_of(random: Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = random.randrange(8 if depth < 5 else 6)
    match kind:
        case 0:
            return random.choice((None, True, False))
        case 1:
            return random.choice(NUMBERS)
        case 2 | 3:
            return random.choice(NASTY).replace("\ud800", "")
        case 4:
            return text_of(random, "PAT-12345").encode(errors="replace").decode()
        case 5:
            return random.randint(-1000, 1000)
        case 6:
            return [json_of(random, depth + 1) for _ in range(random.randrange(5))]
        case _:
            names = ("claim_id", "a", "items", "patient_id", "$data", "length", "0", "")
            return {
                random.choice(names): json_of(random, depth + 1)
                for _ in range(random.randrange(5))
            }


def spoiled(random: Random, value: Any) -> Any:
    """Return a JSON value with one of its parts replaced, removed or added."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        name = random.choice(list(value))
        match random.randrange(6):
            case 0:
                return {key: below for key, below in value.items() if key != name}
            case 1:
                return {**value, text_of(random, name): value[name]}
            case _:
                return {**value, name: spoiled(random, value[name])}
    if isinstance(value, list) and value and random.random() < 0.85:
        at = random.randrange(len(value))
        return [*value[:at], spoiled(random, value[at]), *value[at + 1 :]]
    if isinstance(value, str) and random.random() < 0.6:
        return text_of(random, value)
    return json_of(random)
