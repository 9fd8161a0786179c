"""Find documented fields of event data, and those that no card shows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, cast

from notifier.cards.library import FIELDS_FILE
from notifier.cards.links import LINK_FIELDS
from notifier.templating import Template

Fields = Mapping[str, Mapping[str, Mapping[str, object]]]
"""Card → field → type, required, doc, as in fields.toml."""

_OF_THE_EVENT = ("correlation_id", "priority", "stakeholders")
"""Fields of the event itself with names long enough to recognise when misspelt."""
_SIMILARITY = 0.85

_MAX_UNUSED = 20
"""Unused members of one event that are compared with known names, which takes time."""


class UnusedField(NamedTuple):
    """A member of the data that a card does not show."""

    name: str
    meant: str
    """The known member or event field with a similar name; empty if unknown."""


def read_fields(*folders: Path) -> Fields:
    """Return the documented data fields of each card.

    A later folder's fields replace an earlier one's.

    Raises:
        ValueError: A file is not TOML, or a field of it is not a table.
    """
    merged: dict[str, dict[str, Mapping[str, object]]] = {}
    for folder in folders:
        for card, fields in _fields_of(folder).items():
            merged[card] = {**merged.get(card, {}), **fields}
    return merged


def _fields_of(folder: Path) -> Fields:
    path = folder / FIELDS_FILE
    if not path.is_file():
        return {}
    found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    for card, fields in found.items():
        tables = fields if isinstance(fields, dict) else {"": fields}
        stray = next(
            (name for name, about in tables.items() if not isinstance(about, dict)), None
        )
        if stray is not None:
            name = f"{card}.{stray}".removesuffix(".")
            raise ValueError(f"{name} is not a table; write [card.field]")
    return cast("Fields", found)


def shown_fields(template: Template) -> frozenset[str] | None:
    """Return the members that a template may show; None means all."""
    if template.members_read("facts") != frozenset():
        return None
    read = template.members_read("data")
    return None if read is None else read | LINK_FIELDS


def unused_fields(
    data: Mapping[str, object], shown: frozenset[str] | None, documented: Iterable[str] = ()
) -> tuple[UnusedField, ...]:
    """Return the members that are neither shown nor documented."""
    if shown is None:
        return ()
    unused = [name for name in data if name not in shown and name.lower() not in shown]
    if not unused:
        return ()
    known = shown | frozenset(documented)
    return tuple(
        UnusedField(name, _meant(name[:64].lower(), known))
        for name in unused[:_MAX_UNUSED]
        if name.lower() not in known
    )


@lru_cache(maxsize=1024)
def _meant(name: str, known: frozenset[str]) -> str:
    if of_event := get_close_matches(name, _OF_THE_EVENT, 1, _SIMILARITY):
        return of_event[0]
    parts = [
        each
        for each in known
        if f"{name}_".startswith(f"{each}_") or each.startswith(f"{name}_")
    ]
    return max(parts, key=len, default="") or next(
        iter(get_close_matches(name, sorted(known), 1)), ""
    )
