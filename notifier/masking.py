"""Patient data out: identifying members are masked, and their values wherever else they stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

_SHOWN = 3
_SCANNED_LENGTH = 4
"""Shorter values are not searched for in other texts: every amount would contain them."""
_APART = 3
_SEPARATORS = re.compile(r"[\s_\-]+")
_LIKE_ASCII = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")
"""The four letters beyond ASCII that re.IGNORECASE takes for ASCII ones (Python's re, IGNORECASE)."""
_ASCII_SEPARATORS = b" \t\n\v\f\r\x1c\x1d\x1e\x1f_-"
_IN_NO_NUMBER = re.compile(r"[^0-9.eE+-]")
_LEAVES = frozenset({str, int, float, bool, type(None)})
_GROUPED_NUMBER = re.compile(r"\+?[0-9]{6,}")


@dataclass(frozen=True)
class Masking:
    """Which members identify a person (`fields`) and which only look so (`exempt`, dotted paths)."""

    fields: frozenset[str]
    exempt: frozenset[str]

    @classmethod
    def of(cls, fields: Iterable[str], exempt: Iterable[str]) -> Masking:
        """Build from settings; names count in any case."""
        return cls(
            frozenset(name.lower() for name in fields),
            frozenset(name.lower() for name in exempt),
        )


def mask_value(value: str) -> str:
    """Return `***` and the last three characters; of a short value only `***`."""
    return f"***{value[-_SHOWN:]}" if len(value) > _SHOWN + 1 else "***"


def mask_event_data(data: Mapping[str, JsonValue], masking: Masking) -> dict[str, JsonValue]:
    """Return a copy of `data` with patient data masked, also inside free text."""
    found: dict[str, str] = {}
    masked: dict[str, JsonValue] = {}
    for key, value in data.items():
        path = key.lower()
        if type(value) in _LEAVES and path not in masking.fields and "." not in path:
            # Most members: nothing that a function would have to be called for.
            masked[key] = value
        else:
            masked[key] = _mask(value, path, masking, found)
    if not found or not _may_occur(found, masked):
        return masked
    pattern = _anywhere(found)
    return {_scan_text(key, pattern): _scan(value, pattern) for key, value in masked.items()}


def _may_occur(values: Collection[str], data: dict[str, JsonValue]) -> bool:
    """Tell whether a value may stand in the data somewhere; quicker than to build and try its pattern, and never a no too much."""
    texts: list[str] = []
    _gather(data, texts, numbers=not all(_IN_NO_NUMBER.search(value) for value in values))
    text = _squeezed("\n".join(texts))
    return any(not value.isascii() or _squeezed(value) in text for value in values)


def _gather(value: JsonValue, texts: list[str], *, numbers: bool) -> None:
    """Add every name and text, and every number if wanted."""
    if isinstance(value, dict):
        texts += value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            if type(item) is str:
                texts.append(item)
            elif numbers or type(item) is not float:
                _gather(item, texts, numbers=numbers)
    elif isinstance(value, str) or (numbers and value is not None):
        texts.append(str(value))


def _squeezed(text: str) -> bytes:
    """Return text without separators, in lower case, so that a value in ASCII that a pattern finds here stands in it as it is."""
    written = text.encode(errors="replace")
    if not text.isascii() and _is_odd(written):
        written = "".join(text.split()).translate(_LIKE_ASCII).encode(errors="replace")
    return written.translate(None, _ASCII_SEPARATORS).lower()


def _is_odd(written: bytes) -> bool:
    """Tell whether there may be a space beyond ASCII, or a letter like one of ASCII: by their first bytes in UTF-8."""
    return (
        b"\xc2" in written or b"\xc4" in written or b"\xc5" in written
        or b"\xe1" in written or b"\xe2" in written or b"\xe3" in written
    )  # fmt: skip


def _anywhere(values: Iterable[str]) -> re.Pattern[str]:
    # Longest first, so that an id that contains another is replaced whole.
    ordered = sorted(values, key=len, reverse=True)
    return re.compile("|".join(_written(raw) for raw in ordered), re.IGNORECASE)


def _written(raw: str) -> str:
    """Return a pattern of a value however its parts are set apart: PAT-12345 is PAT 12345, and numbers are grouped."""
    parts = _SEPARATORS.split(raw)
    if sum(map(len, parts)) < _SCANNED_LENGTH:
        return re.escape(raw)
    if _GROUPED_NUMBER.fullmatch("".join(parts)):
        parts = list("".join(parts))
    return rf"[\s_\-]{{0,{_APART}}}".join(re.escape(part) for part in parts if part)


def _mask(value: JsonValue, path: str, masking: Masking, found: dict[str, str]) -> JsonValue:
    if path.rpartition(".")[2] in masking.fields and path not in masking.exempt:
        return _mask_leaves(value, found)
    if isinstance(value, dict):
        return {
            key: _mask(item, f"{path}.{key.lower()}", masking, found)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_mask(item, path, masking, found) for item in value]
    return value


def _mask_leaves(value: JsonValue, found: dict[str, str]) -> JsonValue:
    if isinstance(value, dict):
        return {key: _mask_leaves(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_leaves(item, found) for item in value]
    if value is None or isinstance(value, bool):
        return value
    raw = str(value)
    if len(raw) >= _SCANNED_LENGTH:
        found[raw] = mask_value(raw)
    return mask_value(raw)


def _scan(value: JsonValue, pattern: re.Pattern[str]) -> JsonValue:
    if isinstance(value, str):
        return _scan_text(value, pattern)
    if isinstance(value, dict):
        return {_scan_text(key, pattern): _scan(item, pattern) for key, item in value.items()}
    if isinstance(value, list):
        return [_scan(item, pattern) for item in value]
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and pattern.fullmatch(str(value))
    ):
        return mask_value(str(value))
    return value


def _scan_text(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: mask_value(match[0]), text)


_LONGEST_CUT = 100
"""Characters of a value that are looked for at the end of a cut text."""


def mask_raw_text(text: str, masking: Masking) -> str:
    """Mask `"patient_id": "…"` and the like in text that did not parse, as well as can be done."""
    return mask_raw_texts({"": text}, masking)[""]


def mask_raw_texts(texts: Mapping[str, str], masking: Masking) -> dict[str, str]:
    """Mask texts of one entry as mask_raw_text does, and what is found in one of them in all."""
    names = "|".join(re.escape(name) for name in sorted(masking.fields))
    if not names:
        return dict(texts)
    pattern = re.compile(
        rf"""(\\*["']?(?:{names})\\*["']?\s*[:=]\s*)(\\*"[^"]*"?|'[^']*'?|[^\s,}}&]+)""",
        re.IGNORECASE,
    )
    found: set[str] = set()

    def hide(match: re.Match[str]) -> str:
        found.add(match[2].strip("\\\"'"))
        return f'{match[1]}"***"'

    masked = {key: pattern.sub(hide, text) for key, text in texts.items()}
    values = [value for value in found if len(value) >= _SCANNED_LENGTH]
    if not values:
        return masked
    everywhere = _anywhere(values)
    return {
        key: _scan_end(_scan_text(text, everywhere), values) for key, text in masked.items()
    }


def _scan_end(text: str, values: Collection[str]) -> str:
    """Mask a value that a cut text ends in the middle of."""
    for value in values:
        for length in range(min(len(value), _LONGEST_CUT) - 1, _SCANNED_LENGTH - 1, -1):
            for match in _anywhere([value[:length]]).finditer(text[-2 * _LONGEST_CUT :]):
                if match.end() == len(text[-2 * _LONGEST_CUT :]):
                    return text[: len(text) - len(match[0])] + "***"
    return text
