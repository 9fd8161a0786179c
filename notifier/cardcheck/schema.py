"""Check an expanded card against the Adaptive Cards 1.5 schema and against what Teams takes from a workflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue

if TYPE_CHECKING:
    from jsonschema import Draft6Validator

ELEMENTS = frozenset({
    "AdaptiveCard", "TextBlock", "RichTextBlock", "TextRun", "Image", "ImageSet", "Container", "ColumnSet", "Column", "FactSet",
    "ActionSet", "Action.OpenUrl", "Action.ShowCard", "Action.ToggleVisibility",
})  # fmt: skip
"""What a card posted by a workflow may hold (Microsoft: Adaptive Cards for Teams); inputs and other actions need a bot."""

MAX_ACTIONS = 6
"""Actions that Teams shows in one row (Microsoft: Adaptive Cards for Teams, "a maximum of six primary actions")."""

Fault = tuple[str, str]
"""JSON path, and what is wrong with the fix."""

_STAND_INS: dict[str, JsonValue] = {
    "TextBlock": {"type": "TextBlock", "text": ""},
    "RichTextBlock": {"type": "RichTextBlock", "inlines": []},
    "TextRun": {"type": "TextRun", "text": ""},
    "Image": {"type": "Image", "url": ""},
    "ImageSet": {"type": "ImageSet", "images": []},
    "Container": {"type": "Container", "items": []},
    "ColumnSet": {"type": "ColumnSet"},
    "Column": {"type": "Column"},
    "FactSet": {"type": "FactSet", "facts": []},
    "ActionSet": {"type": "ActionSet", "actions": []},
    "Action.OpenUrl": {"type": "Action.OpenUrl", "url": ""},
    "Action.ShowCard": {"type": "Action.ShowCard"},
    "Action.ToggleVisibility": {"type": "Action.ToggleVisibility", "targetElements": []},
    "AdaptiveCard": {"type": "AdaptiveCard"},
}
"""The least element of each kind: a parent is checked with these in place of its children, so each fault is told once."""


_NARROWER = frozenset(
    {"enum", "const", "pattern", "minLength", "maxLength", "anyOf", "allOf", "oneOf", "$ref"}
)


def schema_faults(card: JsonValue) -> Iterator[Fault]:
    """Yield what is wrong with an expanded card."""
    if not isinstance(card, dict) or card.get("type") != "AdaptiveCard":
        yield "$.type", 'must be "AdaptiveCard"'
        return
    if card.get("version") not in ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5"):
        yield "$.version", "Teams shows Adaptive Cards up to 1.5; set it to 1.5"
    yield from _walk(card, "$")


def _walk(node: JsonValue, path: str) -> Iterator[Fault]:
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from _walk(item, f"{path}[{number}]")
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if isinstance(kind, str) and path != "$.msteams":
        yield from _element_faults(node, kind, path)
    for key, value in node.items():
        if key not in ("msteams", "requires"):
            yield from _walk(value, f"{path}.{key}")


def _element_faults(node: dict[str, JsonValue], kind: str, path: str) -> Iterator[Fault]:
    if kind not in ELEMENTS:
        yield (
            f"{path}.type",
            f"{kind} does not work in a card posted by a workflow; use one of {', '.join(sorted(ELEMENTS))}",
        )
        return
    actions = node.get("actions")
    if isinstance(actions, list) and len(actions) > MAX_ACTIONS:
        yield (
            f"{path}.actions",
            f"Teams shows {MAX_ACTIONS} actions; put others into an Action.ShowCard",
        )
    url = node.get("url")
    if isinstance(url, str) and not url.startswith(
        ("https://",) if kind == "Image" else ("https://", "http://")
    ):
        yield f"{path}.url", "must be an https address"
    if kind == "Image" and not node.get("altText"):
        yield f"{path}.altText", "is missing; say what the image shows"
    if kind == "TextBlock" and node.get("wrap") is not True:
        yield f"{path}.wrap", "must be true, or long text is cut on a phone"
    shallow = {key: _without_text(key, value) for key, value in node.items()}
    for where, message in _messages(kind, json.dumps(shallow, sort_keys=True)):
        yield f"{path}{where}", message


def _stand_in(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_stand_in(item) for item in value]
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return _STAND_INS.get(str(value["type"]), value)
    if isinstance(value, dict):
        return {key: _without_text(key, item) for key, item in value.items()}
    return value


def _without_text(key: str, value: JsonValue) -> JsonValue:
    """Return what the schema judges of a member: of free text nothing but that it is text."""
    return "" if isinstance(value, str) and key in _free_texts() else _stand_in(value)


@lru_cache(maxsize=1)
def _free_texts() -> frozenset[str]:
    """Return the members that may hold any text, in whichever element they are."""
    free: dict[str, bool] = {}
    definitions = cast(
        "dict[str, dict[str, dict[str, dict[str, object]]]]", _schema()["definitions"]
    )
    for definition in definitions.values():
        for name, wanted in definition.get("properties", {}).items():
            of_any_text = wanted.get("type") == "string" and not _NARROWER & wanted.keys()
            free[name] = free.get(name, True) and of_any_text
    return frozenset(name for name, of_any_text in free.items() if of_any_text)


@lru_cache(maxsize=8192)
def _messages(kind: str, element: str) -> tuple[Fault, ...]:
    """Return the schema's faults of one element; most elements of a folder look like others, so answers are kept."""
    found = _validator(kind).iter_errors(json.loads(element))
    return tuple(
        (
            "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path
            ),
            _readable(str(error.message)),
        )
        for error in found
    )


def _readable(message: str) -> str:
    short = message if len(message) <= 200 else f"{message[:200]}…"
    return f"{short} (Adaptive Cards 1.5 schema; see adaptivecards.io/explorer)"


@lru_cache(maxsize=32)
def _validator(kind: str) -> Draft6Validator:
    from jsonschema import Draft6Validator

    return Draft6Validator(
        {"$ref": f"#/definitions/{kind}", "definitions": _schema()["definitions"]}
    )


@lru_cache(maxsize=1)
def _schema() -> dict[str, JsonValue]:
    path = Path(__file__).with_name("adaptive_card_1_5.json")
    return cast("dict[str, JsonValue]", json.loads(path.read_text(encoding="utf-8")))
