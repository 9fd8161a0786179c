"""Patient data out: identifying members are masked, and their values wherever else they stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from notifier.identifiers import LIKE_ASCII, SHORTEST, Identifiers

_SHOWN = 3
_ASCII_SEPARATORS = b" \t\n\v\f\r\x1c\x1d\x1e\x1f_-"
_IN_NO_NUMBER = re.compile(r"[^0-9.eE+\-_\s]")
_LEAVES = frozenset({str, int, float, bool, type(None)})


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
    found: set[str] = set()
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
    return _scan_members(masked, Identifiers(found))


def _may_occur(values: Collection[str], data: dict[str, JsonValue]) -> bool:
    """Tell whether a value may stand in the data somewhere; quicker than to look for where, and never a no too much."""
    texts: list[str] = []
    _gather(data, texts, numbers=not all(_IN_NO_NUMBER.search(value) for value in values))
    text = _squeezed("\n".join(texts))
    return any(
        not value.isascii() or _squeezed(value).removeprefix(b"+") in text for value in values
    )


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
    elif isinstance(value, str):
        texts.append(value)
    elif numbers and value is not None:
        texts += _number_texts(value)


def _number_texts(value: float) -> tuple[str, ...]:
    """Return how a number may be written; the last is the plainest."""
    if type(value) is float and value.is_integer():
        return str(value), str(int(value))
    return (str(value),)


def _squeezed(text: str) -> bytes:
    """Return text without separators, in lower case, so that a value in ASCII that is found in the text is found here."""
    written = text.encode(errors="replace")
    if not text.isascii() and _is_odd(written):
        written = "".join(text.split()).translate(LIKE_ASCII).encode(errors="replace")
    return written.translate(None, _ASCII_SEPARATORS).lower()


def _is_odd(written: bytes) -> bool:
    """Tell whether there may be a space beyond ASCII, or a letter like one of ASCII: by their first bytes in UTF-8."""
    return (
        b"\xc2" in written or b"\xc4" in written or b"\xc5" in written
        or b"\xe1" in written or b"\xe2" in written or b"\xe3" in written
    )  # fmt: skip


def _mask(value: JsonValue, path: str, masking: Masking, found: set[str]) -> JsonValue:
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


def _mask_leaves(value: JsonValue, found: set[str]) -> JsonValue:
    if isinstance(value, dict):
        return {key: _mask_leaves(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_leaves(item, found) for item in value]
    if value is None or isinstance(value, bool):
        return value
    raw = value if isinstance(value, str) else _number_texts(value)[-1]
    if len(raw) >= SHORTEST:
        found.add(raw)
    return mask_value(raw)


def _scan(value: JsonValue, identifiers: Identifiers) -> JsonValue:
    if isinstance(value, str):
        return identifiers.replaced(value, mask_value)
    if isinstance(value, dict):
        return _scan_members(value, identifiers)
    if isinstance(value, list):
        return [_scan(item, identifiers) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for text in _number_texts(value):
        if identifiers.is_one(text):
            return mask_value(text)
    return value


def _scan_members(
    members: Mapping[str, JsonValue], identifiers: Identifiers
) -> dict[str, JsonValue]:
    scanned: dict[str, JsonValue] = {}
    alike: dict[str, int] = {}
    for key, value in members.items():
        name = masked = identifiers.replaced(key, mask_value)
        # Two names may look alike once they are masked, and neither member may be lost.
        while name in scanned:
            alike[masked] = alike.get(masked, 1) + 1
            name = f"{masked} ({alike[masked]})"
        scanned[name] = _scan(value, identifiers)
    return scanned
