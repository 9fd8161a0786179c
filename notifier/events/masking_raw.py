"""Masks patient data in text that did not parse, as well as can be done: what looks like a member with its value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from notifier.events.identifiers import SHORTEST, Identifiers
from notifier.events.masking import Masking, mask_value

_HIDDEN = '"***"'
_STRING = r"""(?<!\\)(\\*+)"(?:.*?(?<!\\)\1"|.*)|'[^']*'?"""
"""In JSON within JSON quotes carry backslashes: a text ends at a quote with as many as the one it began with."""
_VALUE = re.compile(rf"{_STRING}|[^\s,}}&]+", re.DOTALL)
_PIECE = re.compile(rf"{_STRING}|[\[\]{{}}]|[^\s,:\[\]{{}}\"']+", re.DOTALL)
_NAMED = re.compile(r"\s*:")
_ESCAPED = re.compile(r"(?<!\\)\\++u([0-9a-fA-F]{4})")
_LITERALS = frozenset({"true", "false", "null"})


def mask_raw_text(text: str, masking: Masking) -> str:
    """Mask `"patient_id": "…"` and the like, and what is found there wherever else it stands."""
    return mask_raw_texts({"": text}, masking)[""]


def mask_raw_texts(texts: Mapping[str, str], masking: Masking) -> dict[str, str]:
    """Mask texts of one entry as mask_raw_text does, and what is found in one of them in all."""
    names = "|".join(re.escape(name) for name in sorted(masking.fields))
    if not names:
        return dict(texts)
    heads = re.compile(rf"""(?:{names})\\*["']?\s*[:=]\s*""", re.IGNORECASE)
    found: set[str] = set()
    masked = {
        key: _without_members(_ESCAPED.sub(_character, text), heads, found)
        for key, text in texts.items()
    }
    identifiers = Identifiers(value for value in found if len(value) >= SHORTEST)
    return {key: _without(identifiers, text) for key, text in masked.items()}


def _without(identifiers: Identifiers, text: str) -> str:
    text = identifiers.replaced(text, mask_value)
    broken_off = identifiers.begun_at_end(text)
    return text if broken_off == len(text) else f"{text[:broken_off]}***"


def _without_members(text: str, heads: re.Pattern[str], found: set[str]) -> str:
    """Return text without the values of members that such a head begins; adds them to `found`."""
    parts: list[str] = []
    end = 0
    for head in heads.finditer(text):
        after = head.end()
        if head.start() < end or after == len(text):
            continue
        if text[after] in "[{":
            value_end = after
            values, value_end = _within(text, after)
            found |= values
        elif (single := _VALUE.match(text, after)) is not None:
            found.add(_bare(single[0]))
            value_end = single.end()
        else:
            continue
        parts += text[end:after], _HIDDEN
        end = value_end
    return "".join((*parts, text[end:]))


def _within(text: str, begin: int) -> tuple[set[str], int]:
    """Return the values in a list or object, and where it ends; one that is not closed ends with the text."""
    values: set[str] = set()
    depth = 0
    for piece in _PIECE.finditer(text, begin):
        mark, end = piece[0], piece.end()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        elif mark not in _LITERALS and not _NAMED.match(text, end):
            values.add(_bare(mark))
        if depth == 0:
            return values, end
    return values, len(text)


def _bare(value: str) -> str:
    return value.strip("\\\"'")


def _character(escaped: re.Match[str]) -> str:
    """Return the character that an escape stands for, unless it would look like the end of a text or cannot stand alone."""
    character = chr(int(escaped[1], 16))
    if character in "\"\\'" or not character.isprintable():
        return escaped[0]
    return character
