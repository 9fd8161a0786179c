"""Fold texts as people compare them: case and accents do not count."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

SEPARATORS = frozenset(" -_")
"""The space, the dash and the low line of a folded text."""
_OTHER_DASHES = frozenset(
    "\u02d7\u06d4\u2027\u2043\u2212\u23af\u2500\u2501\u2574\u2796\u2cba\u2cbb\u30fc"
)
"""Characters that look like a dash (Unicode TR39, confusables) but have another category."""
_OTHER_SPACES = frozenset("\u2800")
_UNSEEN = frozenset({"Mn", "Me", "Cf", "Cc"})
_ALSO_UNSEEN = frozenset("\u0640\u115f\u1160\u3164\uffa0")
"""The Arabic stroke that lengthens a word, and Hangul fillers."""
_ALIKE = {
    "\u0131": "i",
    "\u0629": "\u0647",
    "\u0649": "\u064a",
    "\u06a9": "\u0643",
    "\u06cc": "\u064a",
}
"""Letters that people write for one another: dotless i; in Arabic teh marbuta, alef maksura, Persian kaf and yeh."""
_MOST_KEPT = 2**16
_DROPPED_ASCII = bytes(code for code in range(128) if code <= 32 or code == 127) + b"-_"


class _Computed(dict[int, str]):
    """A text for each character, computed when first used."""

    def __init__(self, compute: Callable[[str], str]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, code: int) -> str:
        if len(self) >= _MOST_KEPT:
            self.clear()
        found = self[code] = self._compute(chr(code))
        return found


def folded(text: str) -> str:
    """Return text in one case, without marks and invisible characters.

    Spaces become " ", dashes "-", digits ASCII.
    """
    return text.lower() if text.isascii() and text.isprintable() else text.translate(_FOLDS)


def each_folded(text: str) -> Iterator[str]:
    """Yield the folded text of each character, which may be empty."""
    return map(_FOLDS.__getitem__, map(ord, text))


def squeezed(text: str) -> str:
    """Return the folded text without separators."""
    if text.isascii():
        return text.encode().translate(None, _DROPPED_ASCII).lower().decode()
    return text.translate(_SQUEEZES)


def _fold(character: str) -> str:
    category = unicodedata.category(character)
    if character in _ALIKE:
        return _ALIKE[character]
    if category == "Lo" and unicodedata.is_normalized("NFKD", character):
        return "" if character in _ALSO_UNSEEN else character
    if character.isspace() or category[0] == "Z" or character in _OTHER_SPACES:
        return " "
    if category == "Pd" or character in _OTHER_DASHES:
        return "-"
    if category == "Pc":
        return "_"
    if category in _UNSEEN or character in _ALSO_UNSEEN:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cs":
        return "\ufffd"
    return _simplest(character)


def _simplest(character: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    if plain == character:
        return character
    return "".join(each if each == character else _fold(each) for each in plain)


def _squeeze(character: str) -> str:
    return "".join(each for each in _FOLDS[ord(character)] if each not in SEPARATORS)


_FOLDS = _Computed(_fold)
_SQUEEZES = _Computed(_squeeze)
