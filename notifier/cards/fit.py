"""Shorten a card that is too large: long lists first, then long texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import groupby

from pydantic import JsonValue

from notifier.errors import CardTooLargeError
from notifier.events.json import to_json_bytes
from notifier.teams.envelope import build_body, counted_size

KEPT_ITEMS = 3
"""Entries that a shortened list keeps at least."""

KEPT_CHARACTERS = 160
"""Characters that a shortened text keeps at least."""

_NOTE_BYTES = 700
"""Room for the note about what is left out."""

_QUOTES = 2
_COMMA = 1
"""Bytes that counted_size adds to a card, and bytes between two entries of a list."""

_OPEN_LINK = re.compile(r"\[[^\[\]]*\]\([^()\s]*\Z")
_BOLD = re.compile(r"(?<!\\)\*\*")
_ISOLATES, _END_OF_ISOLATE = re.compile("[\u2066-\u2068]"), "\u2069"

_LEAST_CUT = 60
"""Characters that each cut removes at least: more than the note adds."""

_LONG_RUN = 8
"""Elements of one kind in a row that are a list of the data, not the paragraphs of a card."""

_LIST_MEMBERS = (
    "facts", "items", "body", "columns", "rows", "cells", "inlines", "images", "choices", "actions",
)  # fmt: skip
_TEXT_MEMBERS = ("text", "value", "title", "speak", "fallbackText", "altText")


@dataclass(frozen=True, slots=True)
class _Run:
    """Entries in a row of a list that can be shortened."""

    items: list[JsonValue]
    start: int
    end: int
    key: str
    size: int
    within: tuple[_Place, ...]


@dataclass(frozen=True, slots=True)
class _Long:
    """A text that can be shortened, and its place."""

    owner: dict[str, JsonValue]
    key: str
    size: int


_Place = tuple[int, int]
"""Identity of a list around an entry, and the index there."""


def fit_card(card: JsonValue, *, max_card_bytes: int, more_link: str | None) -> JsonValue:
    """Return the card, shortened to `max_card_bytes` as Teams counts them.

    The longest runs of like entries (facts, rows, elements) are shortened first, then the longest texts, finally lists of
    all kinds of entries; a note says how much is missing and links to it. A card that nothing more can be taken from
    comes back too large.
    """
    fitted = _copied(card)
    arabic = isinstance(card, dict) and card.get("lang") == "ar"
    over = _size(fitted) - max_card_bytes
    if over > 0:
        over = _shorten_lists(list(_runs(fitted)), over, more_link, arabic)
    over = _shorten_texts(fitted, over, arabic)
    if over > 0:
        _shorten_lists(list(_runs(fitted, mixed=True)), over, more_link, arabic)
    return fitted


def fitted_body(
    card: JsonValue, *, max_card_bytes: int, more_link: str | None
) -> tuple[JsonValue, bytes]:
    """Return the card, shortened if too large, and the body to post.

    Raises:
        CardTooLargeError: It cannot be shortened enough.
    """
    try:
        return card, build_body(card, max_card_bytes=max_card_bytes)
    except CardTooLargeError:
        card = fit_card(card, max_card_bytes=max_card_bytes, more_link=more_link)
        return card, build_body(card, max_card_bytes=max_card_bytes)


def _copied(node: JsonValue) -> JsonValue:
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_copied(item) for item in node]
    return node


def _size(node: JsonValue) -> int:
    return counted_size(to_json_bytes(node))


def _shorten_lists(runs: list[_Run], over: int, more_link: str | None, arabic: bool) -> int:
    """Shorten lists, the longest first; returns the bytes still over."""
    removed: dict[int, list[tuple[_Run, int, list[JsonValue]]]] = {}
    # Sizes add up, so that nothing is counted twice; a list within another comes after it.
    for run in sorted(runs, key=lambda found: found.size, reverse=True):
        if over <= 0:
            break
        if any(
            outer.start + count <= index < outer.end
            for place, index in run.within
            for outer, count, _ in removed.get(place, ())
        ):
            continue
        size, count = _kept(run, run.size - over - _NOTE_BYTES)
        missing = run.end - run.start - count
        # Among images no text is shown.
        note = [_more_items(missing, run.key, more_link, arabic)] if run.key != "images" else []
        removed.setdefault(id(run.items), []).append((run, count, note))
        over -= run.size - size - sum(_size(each) - _QUOTES + _COMMA for each in note)
    for changes in removed.values():
        for run, count, note in sorted(changes, key=lambda change: -change[0].start):
            run.items[run.start + count : run.end] = note
    return over


def _kept(run: _Run, room: int) -> tuple[int, int]:
    """Return the size and number of entries to keep, all but one at most."""
    size = _QUOTES + len("[]") - _COMMA
    count = 0
    for index in range(run.start, run.end - 1):
        added = _size(run.items[index]) - _QUOTES + _COMMA
        if count >= KEPT_ITEMS and size + added > room:
            break
        size += added
        count += 1
    return size, count


def _runs(
    node: JsonValue, within: tuple[_Place, ...] = (), *, mixed: bool = False
) -> Iterator[_Run]:
    """Yield the runs of like entries, or whole lists if `mixed`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _LIST_MEMBERS and isinstance(value, list):
                least = KEPT_ITEMS + 2 if mixed or key == "facts" else _LONG_RUN
                for start, end in [(0, len(value))] if mixed else _alike(value):
                    if end - start >= least:
                        yield _Run(value, start, end, key, _size(value[start:end]), within)
            yield from _runs(value, within, mixed=mixed)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            if isinstance(item, dict | list):
                yield from _runs(item, (*within, (id(node), index)), mixed=mixed)


def _alike(items: list[JsonValue]) -> Iterator[tuple[int, int]]:
    """Yield where entries of one kind begin and end."""
    at = 0
    kinds = (str(item.get("type")) if isinstance(item, dict) else "" for item in items)
    for _, run in groupby(kinds):
        start, at = at, at + sum(1 for _ in run)
        yield start, at


def _more_items(count: int, key: str, more_link: str | None, arabic: bool) -> JsonValue:
    words = f"و{count} أخرى" if arabic else f"and {count} more"
    text = f"[{words}]({more_link})" if more_link else words
    # Without an id: phones show nothing of a card with two equal ids.
    block: JsonValue = {"type": "TextBlock", "text": text, "wrap": True, "isSubtle": True}
    match key:
        case "facts":
            return {"title": "…", "value": text}
        case "columns":
            return {"type": "Column", "width": "auto", "items": [block]}
        case "rows":
            return {"type": "TableRow", "cells": [{"type": "TableCell", "items": [block]}]}
        case "cells":
            return {"type": "TableCell", "items": [block]}
        case "inlines":
            return {"type": "TextRun", "text": f" … {words}"}
        case "choices":
            return {"title": words, "value": "…"}
        case "actions" if more_link:
            return {"type": "Action.OpenUrl", "title": words, "url": more_link}
        case "actions":
            # Phones refuse a whole card for an Action.ToggleVisibility without targets.
            inner: JsonValue = {"type": "AdaptiveCard", "body": [block]}
            return {"type": "Action.ShowCard", "title": words, "card": inner}
        case _:
            return block


def _shorten_texts(card: JsonValue, over: int, arabic: bool) -> int:
    """Shorten texts, the longest first; returns the bytes still over."""
    if over <= 0:
        return over
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
    return over


def _cut(text: str, keep: int, arabic: bool) -> str:
    """Cut a text, never in an escape, a date macro or a link."""
    kept = text[:keep]
    blank = kept.rfind(" ", keep - 60)
    if blank > 0:
        kept = kept[:blank]
    if kept.count("{{") > kept.count("}}"):
        kept = kept[: kept.rfind("{{")]
    if (link := _OPEN_LINK.search(kept)) is not None:
        kept = kept[: link.start()]
    kept = kept.rstrip("\\ ")
    missing = len(text) - len(kept)
    if len(_BOLD.findall(kept)) % 2:
        kept = f"{kept}**" if not kept.endswith("**") else kept[:-2]
    kept += _END_OF_ISOLATE * (len(_ISOLATES.findall(kept)) - kept.count(_END_OF_ISOLATE))
    return f"{kept} … ({f'و{missing} حرفًا' if arabic else f'and {missing} more characters'})"


def _texts(node: JsonValue) -> Iterator[_Long]:
    if isinstance(node, dict):
        for key in _TEXT_MEMBERS:
            text = node.get(key)
            if isinstance(text, str) and _is_long(text):
                yield _Long(node, key, _size(text))
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _texts(each)


def _is_long(text: str) -> bool:
    return len(text) > KEPT_CHARACTERS + 80
