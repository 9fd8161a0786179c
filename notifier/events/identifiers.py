"""Find identifying values in texts, however they are written.

PAT-12345 is also pat 12345, and 1098 765 432 is one number. One pass over all texts finds all values, so the work grows
with the length of the texts alone. Thousands of values that begin alike, in a text that repeats their beginning, would
take more: comparisons are counted, and past the limit the whole text is hidden.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain

from notifier.events.letter_shapes import SEPARATORS, each_folded, folded, squeezed

SHORTEST = 4
"""Characters of a value without separators; a shorter value is found only as it is, since amounts would contain it."""
PIECE = 32
"""Characters of a piece of a longer value; each piece counts as found."""
MAX_COMPARISONS = 50_000
"""Comparisons of a value with a place of a text, in one search; an event that people wrote needs some hundreds."""
_MAX_GAP = 3
"""Separators in a row that a text may have where the value has one or none."""
_FEW_VALUES = 8
"""Up to this many values, a quick test comes first: most texts contain none."""
_BETWEEN = "\ud800"
"""Separates texts that are searched together; no folded text contains it."""
_NUMBER = re.compile(r"\+?[0-9]{6,}")
_GAP = re.compile(r"[ _-]+")
_ARABIC = re.compile("[\x00-\x7f\u0600-\u065f\u066a-\u06d3\u06d5-\u06ef]*")
"""ASCII, and Arabic without its digits: no Arabic character of it folds to an ASCII one."""
_ASCII_GAP = re.compile(r"[\t-\r\x1c-\x1f _-]+")

Span = tuple[int, int]
"""Begin and end in a text."""
_Origin = tuple[str, int]
"""A value, folded with its separators, and the number of its characters before the piece."""


class Identifiers:
    """Identifying values, and the search for them in texts."""

    def __init__(self, values: Iterable[str]) -> None:
        self._loose: dict[str, list[_Origin]] = {}
        """Pieces of values without separators → the values and places that they come from."""
        self._exact: dict[str, list[_Origin]] = {}
        """Pieces of short values, which are found only as they are."""
        self._whole: set[str] = set()
        self._gaps: dict[str, tuple[frozenset[int] | None, int]] = {}
        for value in dict.fromkeys(values):
            self._add(value)

    def _add(self, value: str) -> None:
        text, written = squeezed(value), folded(value)
        if len(text) < SHORTEST:
            for at in _pieces(len(written)):
                self._exact.setdefault(written[at : at + PIECE], [])
            return
        if text[0] == "+" and _NUMBER.fullmatch(text):
            # +966 50 … is 966 50 …, also where a text has a number without the sign.
            text = text[1:]
        self._whole.add(text)
        for at in _pieces(len(text)):
            self._loose.setdefault(text[at : at + PIECE], []).append((written, at))

    def spans(self, text: str) -> list[Span]:
        """Return where a text contains values, in order, overlaps united."""
        return self._found([text]).get(0, [])

    def replacements(
        self, texts: Iterable[str], replacement: Callable[[str], str]
    ) -> dict[str, str]:
        """Return each text that contains values → the text with those replaced."""
        distinct = list(dict.fromkeys(texts))
        return {
            distinct[number]: _replaced(distinct[number], spans, replacement)
            for number, spans in self._found(distinct).items()
        }

    def is_identifier(self, number: str) -> bool:
        """Tell whether a whole number, as it is written, is one of the values."""
        return number.replace("-", "") in self._whole

    def _found(self, texts: Sequence[str]) -> dict[int, list[Span]]:
        """Return where each text contains values, by the number of the text."""
        found: dict[int, list[Span]] = {}
        for values, written, exact in (
            (self._loose, squeezed, False),
            (self._exact, folded, True),
        ):
            if not values or (
                len(values) <= _FEW_VALUES and not _may_hold(texts, values, written)
            ):
                continue
            search = _Search(self, values, list(map(written, texts)), exact=exact)
            for number, spans in search.found(texts):
                found.setdefault(number, []).extend(spans)
        return {number: _united(spans) for number, spans in found.items()}

    def allows_gaps(self, origin: _Origin, gaps: Iterable[Span]) -> bool:
        """Tell whether a value's piece may have gaps (characters before, width)."""
        written, start = origin
        known = self._gaps.get(written)
        if known is None:
            known = self._gaps[written] = _gaps_of(written)
        places, widest = known
        return all(
            width <= widest and (places is None or start + before in places)
            for before, width in gaps
        )


def may_contain(texts: Iterable[str], values: Collection[str]) -> bool:
    """Tell quickly whether texts may contain a value; a no is certain."""
    shortened = [squeezed(value).removeprefix("+") for value in values]
    if len(shortened) > _FEW_VALUES or any(len(each) > PIECE for each in shortened):
        return True
    return _may_hold(texts, shortened, squeezed)


class _Search:
    """One search for all values in all texts, which are folded."""

    def __init__(
        self, owner: Identifiers, values: Mapping[str, list[_Origin]], texts: list[str], *, exact: bool
    ) -> None:  # fmt: skip
        self._owner = owner
        self._values = values
        self._texts = texts
        self._exact = exact
        self._size = min(SHORTEST, min(map(len, values)))
        lengths: dict[str, set[int]] = {}
        for value in values:
            lengths.setdefault(value[: self._size], set()).add(len(value))
        self._lengths = {begin: sorted(found, reverse=True) for begin, found in lengths.items()}
        self._comparisons = 0

    def found(self, originals: Sequence[str]) -> Iterator[tuple[int, list[Span]]]:
        """Yield the number of each text that contains values, and where."""
        joined, size, lengths = _BETWEEN.join(self._texts), self._size, self._lengths
        places = [at for at in range(len(joined)) if joined[at : at + size] in lengths]
        self._comparisons = len(places)
        for number, starts in _by_text(places, self._texts):
            spans = self._spans(originals[number], self._texts[number], starts)
            if spans:
                yield number, spans

    def _spans(self, original: str, text: str, starts: list[int]) -> list[Span]:
        spans: list[Span] = []
        written: _Written | None = None
        size, lengths, values = self._size, self._lengths, self._values
        same = text == original
        for at in starts:
            for length in lengths[text[at : at + size]]:
                self._comparisons += 1
                if self._comparisons > MAX_COMPARISONS:
                    return [(0, len(original))]
                origins = values.get(text[at : at + length])
                if origins is None or at + length > len(text):
                    continue
                if same:
                    spans.append((at, at + length))
                    break
                if written is None:
                    written = _Written(original, exact=self._exact)
                if self._exact or self._joined(written, at, length, origins):
                    spans.append(written.span(at, length))
                    break
        return spans

    def _joined(self, written: _Written, at: int, length: int, origins: list[_Origin]) -> bool:
        gaps = written.gaps(at, length)
        if not gaps:
            return True
        self._comparisons += len(origins) * len(gaps)
        return self._comparisons > MAX_COMPARISONS or any(
            self._owner.allows_gaps(origin, gaps) for origin in origins
        )


class _Written:
    """A text as it was written, and where its characters and gaps are."""

    def __init__(self, text: str, *, exact: bool = False) -> None:
        self._text = text
        self._places: list[int] | None = None
        self._numbers: list[int] = []
        """The number of characters before each gap."""
        self._widths: list[int] = []
        if exact or not (text.isascii() and text.isprintable()):
            self._places = self._mapped(exact=exact)
        else:
            before = 0
            for gap in _ASCII_GAP.finditer(text):
                begin, end = gap.span()
                self._numbers.append(begin - before)
                self._widths.append(end - begin)
                before += end - begin
        self._before = list(accumulate(self._widths, initial=0))

    def _mapped(self, *, exact: bool) -> list[int]:
        places: list[int] = []
        width = 0
        for place, shown in enumerate(each_folded(self._text)):
            for character in shown:
                if not exact and character in SEPARATORS:
                    width += 1
                    continue
                if width:
                    self._numbers.append(len(places))
                    self._widths.append(width)
                    width = 0
                places.append(place)
        return places

    def gaps(self, at: int, length: int) -> list[Span]:
        """Return the gaps from here on: characters before, and width."""
        first = bisect_right(self._numbers, at)
        end = bisect_left(self._numbers, at + length)
        return [(self._numbers[each] - at, self._widths[each]) for each in range(first, end)]

    def span(self, at: int, length: int) -> Span:
        """Return begin and end of this many characters, with marks on the last."""
        if self._places is None:
            return self._place(at), self._place(at + length - 1) + 1
        end = self._places[at + length - 1] + 1
        while end < len(self._text) and not folded(self._text[end]):
            end += 1
        return self._places[at], end

    def _place(self, at: int) -> int:
        return at + self._before[bisect_right(self._numbers, at)]


def _may_hold(
    texts: Iterable[str], values: Iterable[str], written: Callable[[str], str]
) -> bool:
    """Tell quickly whether texts may contain a value; a no is certain."""
    text = "\n".join(texts)
    if not text.isascii() and _ARABIC.fullmatch(text) and all(map(str.isascii, values)):
        # Folding each character takes ten times as long; no value contains the characters that are dropped here.
        text = text.encode("ascii", "ignore").decode()
    text = written(text)
    return any(value in text for value in values)


def _by_text(places: list[int], texts: list[str]) -> Iterator[tuple[int, list[int]]]:
    """Yield each text's number and its places, for places in joined texts."""
    begins = list(accumulate((len(text) + 1 for text in texts), initial=0))
    first = 0
    while first < len(places):
        number = bisect_right(begins, places[first]) - 1
        end = bisect_left(places, begins[number + 1], first)
        yield number, [place - begins[number] for place in places[first:end]]
        first = end


def _gaps_of(written: str) -> tuple[frozenset[int] | None, int]:
    """Return where separators may be (None: anywhere), and how many."""
    gaps = _GAP.findall(written.strip(" _-"))
    widest = max(_MAX_GAP, *map(len, gaps), 0)
    parts = [part for part in _GAP.split(written) if part]
    if _NUMBER.fullmatch("".join(parts)):
        return None, widest
    return frozenset(accumulate(map(len, parts[:-1]))), widest


def _pieces(length: int) -> Sequence[int]:
    """Return where pieces of a value begin; they overlap by a character."""
    if length <= PIECE:
        return (0,) if length else ()
    return list(chain(range(0, length - PIECE, PIECE - 1), (length - PIECE,)))


def _replaced(text: str, spans: Iterable[Span], replacement: Callable[[str], str]) -> str:
    parts: list[str] = []
    end = 0
    for begin, after in spans:
        parts += text[end:begin], replacement(text[begin:after])
        end = after
    return "".join((*parts, text[end:]))


def _united(spans: list[Span]) -> list[Span]:
    united: list[Span] = []
    for begin, end in sorted(spans):
        if united and begin < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((begin, end))
    return united
