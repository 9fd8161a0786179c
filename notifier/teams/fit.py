"""A card that is too large for Teams loses the ends of its longest lists, then of its longest texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

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
    within: tuple[_Place, ...] = ()


_Place = tuple[int, int]
"""Identity of a list that something is in, and the index there."""


def fit_card(card: JsonValue, *, max_card_bytes: int, more_link: str | None) -> JsonValue:
    """Return the card, shortened until it has at most `max_card_bytes` as Teams counts them.

    The longest lists (facts of a FactSet, like items of a container) are shortened first, then the longest texts;
    a note says how much is missing and links to it. A card that nothing more can be taken from comes back too large.
    """
    fitted = _copied(card)
    arabic = isinstance(card, dict) and card.get("lang") == "ar"
    over = _shorten_lists(fitted, _size(fitted) - max_card_bytes, more_link, arabic)
    _shorten_texts(fitted, over, arabic)
    return fitted


def _copied(node: JsonValue) -> JsonValue:
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_copied(item) for item in node]
    return node


def _size(node: JsonValue) -> int:
    return counted_size(to_json_bytes(node))


def _shorten_lists(card: JsonValue, over: int, more_link: str | None, arabic: bool) -> int:
    """Shorten lists, the longest first, until so many bytes are gone; returns how many are still over."""
    kept: dict[int, int] = {}
    if over <= 0:
        return over
    # Sizes add up, so that nothing is counted twice; a list within another comes after it.
    for longest in sorted(_lists(card), key=lambda found: found.size, reverse=True):
        if over <= 0:
            break
        if any(index >= kept.get(outer, index + 1) for outer, index in longest.within):
            continue
        items = longest.owner[longest.key]
        assert isinstance(items, list)  # noqa: S101 # nosec B101 - _lists yields nothing else
        size, count = _kept(items, longest.size - over - _NOTE_BYTES)
        note = _more_items(len(items) - count, longest.key, more_link, arabic)
        del items[count:]
        items.append(note)
        kept[id(items)] = count
        over -= longest.size - size - (_size(note) - _QUOTES + _COMMA)
    return over


def _kept(items: list[JsonValue], room: int) -> tuple[int, int]:
    """Return the size of as many items as have room, KEPT_ITEMS and all but one at least, as a list; and their number."""
    size = _QUOTES + len("[]") - _COMMA
    count = 0
    for item in items[:-1]:
        added = _size(item) - _QUOTES + _COMMA
        if count >= KEPT_ITEMS and size + added > room:
            break
        size += added
        count += 1
    return size, count


def _lists(node: JsonValue, within: tuple[_Place, ...] = ()) -> Iterator[_Long]:
    """Yield the lists whose entries are all of one kind."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _LIST_MEMBERS and isinstance(value, list) and len(value) > KEPT_ITEMS + 1 and _alike(value):  # fmt: skip
                yield _Long(node, key, _size(value), within)
            yield from _lists(value, within)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            if isinstance(item, dict | list):
                yield from _lists(item, (*within, (id(node), index)))


def _alike(items: list[JsonValue]) -> bool:
    kinds = {item.get("type") if isinstance(item, dict) else None for item in items}
    return len(kinds) == 1


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


def _shorten_texts(card: JsonValue, over: int, arabic: bool) -> None:
    """Shorten texts, the longest first, until so many bytes are gone."""
    if over <= 0:
        return
    waiting = [(-found.size, number, found) for number, found in enumerate(_texts(card))]
    originals = {number: str(found.owner[found.key]) for _, number, found in waiting}
    heapify(waiting)
    while over > 0 and waiting:
        negative_size, number, longest = heappop(waiting)
        text = str(longest.owner[longest.key])
        surplus = (over + _NOTE_BYTES // 4) * len(text) // -negative_size
        keep = max(KEPT_CHARACTERS, len(text) - surplus - _LEAST_CUT)
        longest.owner[longest.key] = cut = _cut(originals[number], keep, arabic)
        size = _size(cut)
        over += negative_size + size
        if _is_long(cut):
            heappush(waiting, (-size, number, longest))


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
            if isinstance(text, str) and _is_long(text):
                yield _Long(owner, key, _size(text))


def _is_long(text: str) -> bool:
    return len(text) > KEPT_CHARACTERS + 80


def _objects(node: JsonValue) -> Iterator[dict[str, JsonValue]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _objects(value)
    elif isinstance(node, list):
        for item in node:
            yield from _objects(item)
