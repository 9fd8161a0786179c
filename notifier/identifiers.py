"""Finds identifying values in texts however they are written: PAT-12345 is pat 12345, and 1098 765 432 is one number.

The work grows with the text and the number of values, not with their product of lengths: a text that a pattern would try
at every place, such as a hundred thousand times the same digit, costs no more than another.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from typing import NamedTuple

SHORTEST = 4
"""Characters of a value, separators aside; shorter ones are found only as they are, for every amount would contain them."""
_APART = 3
"""Separators that may stand where a value has one, or none."""
LIKE_ASCII = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")
"""The four letters beyond ASCII that count as ASCII ones in any case (Python's re, IGNORECASE)."""
_LONGEST_END = 2_000
"""Characters at the end of a text in which the beginning of a value is looked for."""
_LAST_SPACE = 0x3000
_SEPARATORS = frozenset(
    {"_", "-", *(chr(code) for code in range(_LAST_SPACE + 1) if chr(code).isspace())}
)
_WITHOUT_SEPARATORS = {ord(separator): None for separator in _SEPARATORS}
_GROUPED_NUMBER = re.compile(r"\+?[0-9]{6,}")

Span = tuple[int, int]
"""Where something begins and ends in a text."""


class _Sought(NamedTuple):
    text: str
    """In one case; without separators, unless it is found only as it is."""
    as_it_is: bool
    gaps: frozenset[int] | None
    """How many characters stand before a place where separators may stand; None: at every place."""
    widest: int
    """Separators that may stand together."""


class Identifiers:
    """Some values, and where they stand."""

    def __init__(self, values: Iterable[str]) -> None:
        self._sought = tuple(dict.fromkeys(_sought(value) for value in values if value))

    def spans(self, text: str) -> list[Span]:
        """Return where they stand, in order; what overlaps is one."""
        folded = _folded(text)
        squeezed = folded.translate(_WITHOUT_SEPARATORS)
        there = [
            sought
            for sought in self._sought
            if sought.text in (folded if sought.as_it_is else squeezed)
        ]
        if not there:
            return []
        written = _Written(folded, squeezed)
        return _united([span for sought in there for span in written.spans(sought)])

    def replaced(self, text: str, replacement: Callable[[str], str]) -> str:
        """Return the text with something else in their place."""
        spans = self.spans(text)
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for begin, after in spans:
            parts += text[end:begin], replacement(text[begin:after])
            end = after
        return "".join((*parts, text[end:]))

    def is_one(self, text: str) -> bool:
        """Tell whether the whole text is one of them."""
        return self.spans(text) == [(0, len(text))]

    def begun_at_end(self, text: str) -> int:
        """Return where a value begins that the text breaks off in, after SHORTEST characters of it or more; else its length."""
        start = max(0, len(text) - _LONGEST_END)
        folded = _folded(text[start:])
        tail = folded.translate(_WITHOUT_SEPARATORS)
        longest = max(
            (_overlap(tail, sought.text) for sought in self._sought if not sought.as_it_is),
            default=0,
        )
        return start + _places(folded)[-longest] if longest else len(text)


class _Written:
    """A text in which something stands, and where its characters and its gaps are."""

    def __init__(self, folded: str, squeezed: str) -> None:
        self._folded = folded
        self._squeezed = squeezed
        self._places = _places(folded)
        self._gaps = [
            (number, place - before - 1)
            for number, (before, place) in enumerate(pairwise(self._places), start=1)
            if place - before > 1
        ]

    def spans(self, sought: _Sought) -> list[Span]:
        """Return where one value stands."""
        text, length = sought.text, len(sought.text)
        if sought.as_it_is:
            return [(at, at + length) for at in _occurrences(self._folded, text)]
        found: list[Span] = []
        at = self._squeezed.find(text)
        while at >= 0:
            if self._joined(at, sought):
                found.append((self._places[at], self._places[at + length - 1] + 1))
                at = self._squeezed.find(text, at + length)
            else:
                at = self._squeezed.find(text, at + 1)
        return found

    def _joined(self, at: int, sought: _Sought) -> bool:
        """Tell whether separators stand only where the value may have them."""
        for index in range(bisect_left(self._gaps, (at + 1, 0)), len(self._gaps)):
            number, width = self._gaps[index]
            if number >= at + len(sought.text):
                break
            allowed = sought.gaps is None or number - at in sought.gaps
            if width > sought.widest or not allowed:
                return False
        return True


def _sought(value: str) -> _Sought:
    folded = _folded(value)
    parts = [part for part in re.split(r"[\s_\-]+", folded) if part]
    text = "".join(parts)
    if len(text) < SHORTEST:
        return _Sought(folded, True, None, 0)
    between = [len(gap) for gap in re.findall(r"[\s_\-]+", folded.strip())]
    gaps = None
    if _GROUPED_NUMBER.fullmatch(text):
        # +966 50 … is 966 50 …, also where a number stands as such.
        text = text.removeprefix("+")
    else:
        gaps = frozenset(accumulate(map(len, parts[:-1])))
    return _Sought(text, False, gaps, max(_APART, *between, 0))


def _folded(text: str) -> str:
    """Return a text in one case, character by character."""
    if text.isascii():
        return text.lower()
    text = text.translate(LIKE_ASCII)
    folded = text.casefold()
    return folded if len(folded) == len(text) else "".join(map(_folded_character, text))


def _folded_character(character: str) -> str:
    folded = character.casefold()
    return folded if len(folded) == 1 else character


def _places(folded: str) -> list[int]:
    return [place for place, each in enumerate(folded) if each not in _SEPARATORS]


def _occurrences(text: str, wanted: str) -> list[int]:
    found: list[int] = []
    at = text.find(wanted)
    while at >= 0:
        found.append(at)
        at = text.find(wanted, at + len(wanted))
    return found


def _united(spans: list[Span]) -> list[Span]:
    united: list[Span] = []
    for begin, end in sorted(spans):
        if united and begin < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((begin, end))
    return united


def _overlap(text: str, value: str) -> int:
    """Return the length of the longest beginning of the value that the text ends with, 0 if that is too short."""
    at = text.find(value[:SHORTEST], max(0, len(text) - len(value)))
    while at >= 0 and not value.startswith(text[at:]):
        at = text.find(value[:SHORTEST], at + 1)
    return len(text) - at if at >= 0 else 0
