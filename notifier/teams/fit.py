"""A card that is too large for Teams loses the ends of its longest lists, then of its longest texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from notifier.jsontext import to_json_bytes
from notifier.teams.envelope import counted_size

KEPT_ITEMS = 3
"""Entries that a shortened list keeps at least."""

KEPT_CHARACTERS = 160
"""Characters that a shortened text keeps at least."""

_NOTE_BYTES = 700
"""Room for the note that says what was left out."""

_QUOTES = 2
_COMMA = 1
"""What counted_size adds to a whole card, and what parts two entries of a list."""

_LEAST_CUT = 60
"""Characters that each round of cutting takes at least: more than the note adds."""

_LIST_MEMBERS = ("facts", "items")
_TEXT_MEMBERS = ("text", "value", "title", "speak", "fallbackText", "altText")


@dataclass(frozen=True, slots=True)
class _Long:
    """A list or text that can be shortened, and where it stands."""

    owner: dict[str, JsonValue]
    key: str
    size: int


def fit_card(card: JsonValue, *, max_card_bytes: int, more_link: str | None) -> JsonValue:
    """Return the card, shortened until it has at most `max_card_bytes` as Teams counts them.

    The longest lists (facts of a FactSet, like items of a container) are shortened first, then the longest texts;
    a note says how much is missing and links to it. A card that nothing more can be taken from comes back too large.
    """
    fitted = copy.deepcopy(card)
    arabic = isinstance(card, dict) and card.get("lang") == "ar"
    while (over := _size(fitted) - max_card_bytes) > 0 and _shorten_list(
        fitted, over, more_link, arabic
    ):
        pass
    originals: dict[tuple[int, str], str] = {}
    while (over := _size(fitted) - max_card_bytes) > 0 and _shorten_text(
        fitted, over, originals, arabic
    ):
        pass
    return fitted


def _size(node: JsonValue) -> int:
    return counted_size(to_json_bytes(node))


def _shorten_list(card: JsonValue, over: int, more_link: str | None, arabic: bool) -> bool:
    longest = max(_lists(card), key=lambda found: found.size, default=None)
    if longest is None:
        return False
    items = longest.owner[longest.key]
    assert isinstance(items, list)  # noqa: S101 - _lists yields nothing else
    removed = 0
    count = 0
    while len(items) > KEPT_ITEMS and removed < over + _NOTE_BYTES:
        removed += _size(items.pop()) - _QUOTES + _COMMA
        count += 1
    items.append(_more_items(count, longest.key, more_link, arabic))
    return True


def _lists(node: JsonValue) -> Iterator[_Long]:
    """Yield the lists whose entries are all of one kind and that have no note yet."""
    for owner in _objects(node):
        for key in _LIST_MEMBERS:
            items = owner.get(key)
            if isinstance(items, list) and len(items) > KEPT_ITEMS + 1 and _alike(items):
                yield _Long(owner, key, _size(items))


def _alike(items: list[JsonValue]) -> bool:
    kinds = {item.get("type") if isinstance(item, dict) else None for item in items}
    return (
        len(kinds) == 1
        and not any(
            isinstance(item, dict) and item.get("id") == "notifier-more" for item in items
        )
        and not _noted(items[-1])
    )


def _noted(item: JsonValue) -> bool:
    return isinstance(item, dict) and item.get("title") == "…"


def _more_items(count: int, key: str, more_link: str | None, arabic: bool) -> JsonValue:
    text = f"و{count} أخرى" if arabic else f"and {count} more"
    if more_link:
        text = f"[{text}]({more_link})"
    if key == "facts":
        return {"title": "…", "value": text}
    return {
        "type": "TextBlock",
        "id": "notifier-more",
        "text": text,
        "wrap": True,
        "isSubtle": True,
    }


def _shorten_text(
    card: JsonValue, over: int, originals: dict[tuple[int, str], str], arabic: bool
) -> bool:
    longest = max(_texts(card), key=lambda found: found.size, default=None)
    if longest is None:
        return False
    text = str(longest.owner[longest.key])
    original = originals.setdefault((id(longest.owner), longest.key), text)
    surplus = (over + _NOTE_BYTES // 4) * len(text) // longest.size
    keep = max(KEPT_CHARACTERS, len(text) - surplus - _LEAST_CUT)
    longest.owner[longest.key] = _cut(original, keep, arabic)
    return True


def _cut(text: str, keep: int, arabic: bool) -> str:
    """Cut at a blank where there is one near, never inside an escape or a date macro."""
    kept = text[:keep]
    blank = kept.rfind(" ", keep - 60)
    if blank > 0:
        kept = kept[:blank]
    if kept.count("{{") > kept.count("}}"):
        kept = kept[: kept.rfind("{{")]
    kept = kept.rstrip("\\ ")
    missing = len(text) - len(kept)
    return f"{kept} … ({f'و{missing} حرفًا' if arabic else f'and {missing} more characters'})"


def _texts(node: JsonValue) -> Iterator[_Long]:
    for owner in _objects(node):
        for key in _TEXT_MEMBERS:
            text = owner.get(key)
            if isinstance(text, str) and len(text) > KEPT_CHARACTERS + 80:
                yield _Long(owner, key, _size(text))


def _objects(node: JsonValue) -> Iterator[dict[str, JsonValue]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _objects(value)
    elif isinstance(node, list):
        for item in node:
            yield from _objects(item)
