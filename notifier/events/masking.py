"""Mask patient data: identifying members, and their values elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from notifier.events.identifiers import SHORTEST, Identifiers, may_contain
from notifier.events.numerals import SentNumber

_SHOWN_CHARACTERS = 3
_NOT_IN_NUMBERS = re.compile(r"[A-DF-Za-df-z]")
_STRUCTURE = frozenset({
    "ar", "assigner", "city", "code", "country", "district", "en", "end", "extension",
    "family", "first", "full", "given", "id", "last", "line", "middle", "number", "period",
    "postalcode", "prefix", "rank", "region", "reference", "second", "start", "state",
    "street", "suffix", "system", "text", "third", "title", "type", "unit", "use", "value",
})  # fmt: skip
"""Names of members that are common under a name, an address or an identifier (FHIR), and never identify a person."""
_LEAVES = frozenset({str, int, float, SentNumber, bool, type(None)})


@dataclass(frozen=True)
class Masking:
    """The members that identify a person.

    `fields` are their names, `exempt` the dotted paths that only seem to.
    """

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
    return f"***{value[-_SHOWN_CHARACTERS:]}" if len(value) > _SHOWN_CHARACTERS + 1 else "***"


def mask_event_data(data: Mapping[str, JsonValue], masking: Masking) -> dict[str, JsonValue]:
    """Return a copy of `data` with patient data masked, also inside free text."""
    found: set[str] = set()
    masked: dict[str, JsonValue] = {}
    for key, value in data.items():
        path = key.lower()
        if type(value) in _LEAVES and path not in masking.fields and "." not in path:
            # Most members; a call for each would cost more than this test.
            masked[key] = value
        else:
            masked[key] = _mask(value, path, masking, found)
    if not found:
        return masked
    texts: list[str] = []
    numbers: set[float] | None = None if all(map(_NOT_IN_NUMBERS.search, found)) else set()
    _gather(masked, texts, numbers)
    if not numbers and not may_contain(texts, found):
        return masked
    identifiers = Identifiers(found)
    masks = identifiers.replacements(texts, mask_value)
    hidden = {
        each
        for each in numbers or ()
        if any(map(identifiers.is_identifier, _number_texts(each)))
    }
    return _scan_members(masked, masks, hidden) if masks or hidden else masked


def _gather(value: JsonValue, texts: list[str], numbers: set[float] | None) -> None:
    """Add every name and text, and every number if wanted."""
    if isinstance(value, dict):
        texts += value
        value = list(value.values())
    if not isinstance(value, list):
        return
    for item in value:
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, (dict, list)):
            _gather(item, texts, numbers)
        elif item is None or isinstance(item, bool):
            continue
        elif numbers is not None:
            numbers.add(item)


def _number_texts(value: float) -> tuple[str, ...]:
    """Return the ways to write a number, the plainest last."""
    sent = (value.text,) if isinstance(value, SentNumber) else ()
    if type(value) is not int and value.is_integer():
        return *sent, str(value), str(int(value))
    return (*sent, str(value))


def _mask(value: JsonValue, path: str, masking: Masking, found: set[str]) -> JsonValue:
    if path.rpartition(".")[2] in masking.fields and path not in masking.exempt:
        return _mask_leaves(value, masking, found)
    if isinstance(value, dict):
        return {
            key: _mask(item, f"{path}.{key.lower()}", masking, found)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_mask(item, path, masking, found) for item in value]
    return value


def _mask_leaves(value: JsonValue, masking: Masking, found: set[str]) -> JsonValue:
    if isinstance(value, dict):
        structure = _STRUCTURE | masking.fields
        return _with_unique_names(
            (
                key if key.lower() in structure else _masked(key, found),
                _mask_leaves(item, masking, found),
            )
            for key, item in value.items()
        )
    if isinstance(value, list):
        return [_mask_leaves(item, masking, found) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _masked(value, found)
    return [_masked(text, found) for text in _number_texts(value)][-1]


def _masked(raw: str, found: set[str]) -> str:
    if len(raw) >= SHORTEST:
        found.add(raw)
    return mask_value(raw)


def _scan(value: JsonValue, masks: Mapping[str, str], hidden: Collection[float]) -> JsonValue:
    if isinstance(value, str):
        return masks.get(value, value)
    if isinstance(value, dict):
        return _scan_members(value, masks, hidden)
    if isinstance(value, list):
        return [_scan(item, masks, hidden) for item in value]
    if value is None or isinstance(value, bool) or value not in hidden:
        return value
    return mask_value(_number_texts(value)[-1])


def _scan_members(
    members: Mapping[str, JsonValue], masks: Mapping[str, str], hidden: Collection[float]
) -> dict[str, JsonValue]:
    return _with_unique_names(
        (masks.get(key, key), _scan(value, masks, hidden)) for key, value in members.items()
    )


def _with_unique_names(members: Iterable[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Return members by name; names that are equal once masked get a number."""
    kept: dict[str, JsonValue] = {}
    copies: dict[str, int] = {}
    for masked, value in members:
        name = masked
        while name in kept:
            copies[masked] = copies.get(masked, 1) + 1
            name = f"{masked} ({copies[masked]})"
        kept[name] = value
    return kept
