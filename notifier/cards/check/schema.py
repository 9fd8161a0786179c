"""Check a rendered card against the Adaptive Cards 1.5 schema and Teams."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import JsonValue

if TYPE_CHECKING:
    from jsonschema import Draft6Validator
    from jsonschema.exceptions import ValidationError

SHOWN = frozenset({
    "AdaptiveCard", "TextBlock", "RichTextBlock", "TextRun", "Image", "ImageSet", "Container", "ColumnSet", "Column", "FactSet",
    "ActionSet", "Table", "TableRow", "TableCell", "Media",
    "Action.OpenUrl", "Action.ShowCard", "Action.ToggleVisibility",
})  # fmt: skip
"""Types that Teams shows in a card from a workflow (Microsoft: "Types of cards", incoming webhooks)."""

INPUTS = frozenset({
    "Input.Text", "Input.Number", "Input.Date", "Input.Time", "Input.Toggle", "Input.ChoiceSet",
})  # fmt: skip

NEWER = frozenset({
    "ActionRun", "Badge", "Carousel", "CarouselPage", "CitationRun", "CodeBlock", "CompoundButton", "Icon", "IconRun", "ImageRun", "ProgressBar",
    "ProgressRing", "Rating", "Input.Rating", "Action.Popover", "Action.ResetInputs", "Action.OpenUrlDialog", "Action.InsertImage",
    "Chart.Donut", "Chart.Pie", "Chart.Gauge", "Chart.Line", "Chart.HorizontalBar", "Chart.HorizontalBar.Stacked",
    "Chart.VerticalBar", "Chart.VerticalBar.Grouped", "Layout.Stack", "Layout.Flow", "Layout.AreaGrid",
})  # fmt: skip
"""Types of newer clients of Teams (adaptivecards.microsoft.com); their properties are not checked."""

MAX_ACTIONS = 6
"""Actions that Teams shows in one row (Microsoft: Adaptive Cards for Teams, "a maximum of six primary actions")."""

_LISTS_OF_ELEMENTS = frozenset({"body", "items", "actions", "images"})
"""Members whose entries must have a type."""

_MAX_WORDED = 5

_OPENED = ("https://", "http://", "mailto:", "tel:")
"""Addresses that a button of Teams opens."""
_IMAGES = ("https://", "data:image/")


class Fault(NamedTuple):
    """A fault or warning at a place of a card."""

    path: str
    """JSON path."""
    message: str
    fix: str = ""
    warning: bool = False
    """Whether Teams shows the card anyway."""


_TEXT_STAND_IN: JsonValue = {"type": "TextBlock", "text": ""}


_NARROWER = frozenset(
    {"enum", "const", "pattern", "minLength", "maxLength", "anyOf", "allOf", "oneOf", "$ref"}
)


def worded_faults(card: JsonValue) -> tuple[str, ...]:
    """Return the first few reasons why Teams would not show all of a card."""
    faults = dict.fromkeys(
        f"{fault.path}: {fault.message}{f'; {fault.fix}' if fault.fix else ''}"
        for fault in card_faults(card)
        if not fault.warning
    )
    return tuple(faults)[:_MAX_WORDED]


def card_faults(card: JsonValue) -> Iterator[Fault]:
    """Yield the faults and warnings of an expanded card."""
    if not isinstance(card, dict) or card.get("type") != "AdaptiveCard":
        yield Fault("$.type", 'must be "AdaptiveCard"')
        return
    if card.get("version") not in ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5"):
        yield Fault("$.version", "Teams shows Adaptive Cards up to 1.5", "set it to 1.5")
    yield from _walk(card, "$", element=True)
    yield from _repeated_ids(card, "$", set())


def _repeated_ids(node: JsonValue, path: str, seen: set[str]) -> Iterator[Fault]:
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from _repeated_ids(item, f"{path}[{number}]", seen)
    elif isinstance(node, dict):
        name = node.get("id")
        if isinstance(name, str) and name and isinstance(node.get("type"), str):
            if name in seen:
                message = "is the id of another element too: phones show nothing of such a card"
                fix = "leave it out, or make each id unique"
                yield Fault(f"{path}.id", message, fix, warning=True)
            seen.add(name)
        for key, value in node.items():
            if key not in ("fallback", "msteams", "requires", "data"):
                yield from _repeated_ids(value, f"{path}.{key}", seen)


def _walk(node: JsonValue, path: str, *, element: bool = False) -> Iterator[Fault]:
    if not isinstance(node, dict):
        if element:
            yield Fault(path, "is not an element", "write an object with a type")
        return
    kind = node.get("type")
    if isinstance(kind, str):
        yield from _element_faults(node, kind, path)
    elif element or kind is not None:
        yield Fault(f"{path}.type", 'must be the name of an element, such as "TextBlock"')
    for key, value in node.items():
        if key in ("msteams", "requires", "data"):
            continue
        if isinstance(value, list):
            for number, item in enumerate(value):
                inner = f"{path}.{key}[{number}]"
                if isinstance(item, dict) or key in _LISTS_OF_ELEMENTS:
                    yield from _walk(item, inner, element=key in _LISTS_OF_ELEMENTS)
        elif isinstance(value, dict):
            yield from _walk(value, f"{path}.{key}")


def _element_faults(node: dict[str, JsonValue], kind: str, path: str) -> Iterator[Fault]:
    if kind in _validated():
        yield from _own_faults(node, kind, path)
        shallow = {key: _without_text(key, value) for key, value in node.items()}
        for fault in _messages(kind, json.dumps(shallow, sort_keys=True)):
            yield fault._replace(path=f"{path}{fault.path}")
    of_control = kind.startswith(("Action.", "Input."))
    if kind in SHOWN or kind == "Input.Choice" or (kind in _validated() and not of_control):
        return  # the last are those of data, such as BackgroundImage
    where = f"{path}.type"
    workflow = "does not work in a card that a workflow posts"
    if kind in INPUTS:
        message = f"{kind} {workflow}: typed text goes nowhere"
        yield Fault(where, message, "leave it out", warning=True)
    elif kind in NEWER:
        message = f"{kind} is newer than Adaptive Cards 1.5: not every Teams shows it, and its properties are not checked"
        yield Fault(where, message, warning=True)
    elif kind in ("Action.Submit", "Action.Execute"):
        yield Fault(where, f"{kind} {workflow}: nobody answers it", "use Action.OpenUrl")
    elif "fallback" not in node:
        fix = _did_you_mean(kind, SHOWN) or "docs/reference/cards.md lists all that it shows"
        yield Fault(where, f"{kind} is not shown by Teams", fix)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else ""


def _own_faults(node: dict[str, JsonValue], kind: str, path: str) -> Iterator[Fault]:
    """Yield faults and warnings that no schema names."""
    actions, url = node.get("actions"), node.get("url")

    def warning(member: str, message: str, fix: str = "") -> Fault:
        return Fault(f"{path}.{member}", message, fix, warning=True)

    if isinstance(actions, list) and len(actions) > MAX_ACTIONS:
        message = f"Teams shows {MAX_ACTIONS} actions"
        yield warning("actions", message, "put others into an Action.ShowCard")
    if kind == "Image" and isinstance(url, str) and not url.startswith(_IMAGES):
        yield warning("url", "Teams loads images from https addresses only")
    if kind == "Action.OpenUrl" and isinstance(url, str) and not url.startswith(_OPENED):
        yield Fault(f"{path}.url", "must be an https address, or Teams does not open it")
    if kind == "Image" and not node.get("altText"):
        yield warning("altText", "is missing", "say what the image shows")
    if kind == "TextBlock" and node.get("wrap") is not True:
        yield warning("wrap", "is not true, so long text is cut on a phone")
    if kind == "Table":
        message = "Table: phones may leave it blank (AdaptiveCards issue 8853)"
        yield warning("type", message, "a FactSet or ColumnSet is shown everywhere")
    if kind == "Media":
        message = "Media: Teams plays files of OneDrive and SharePoint, YouTube, Vimeo and Dailymotion only"
        yield warning("type", message)


@lru_cache(maxsize=1)
def _validated() -> frozenset[str]:
    """Return the types whose members the schema knows."""
    return frozenset(name for name, wanted in _definitions().items() if "properties" in wanted)


@lru_cache(maxsize=1)
def _stand_ins() -> dict[str, JsonValue]:
    """Return the least element of each kind.

    A parent is checked with these in place of its children, so that each fault is found once.
    """
    found: dict[str, JsonValue] = {"TextRun": {"type": "TextRun", "text": ""}}
    definitions = _definitions()
    for kind in (SHOWN | {"BackgroundImage"}) - found.keys():
        required = definitions[kind].get("required", ())
        members = {name: definitions[kind]["properties"][name]["type"] for name in required}
        empty: dict[str, JsonValue] = {
            name: [] if of == "array" else "" for name, of in members.items()
        }
        found[kind] = {"type": kind, **empty}
    return found


def _stand_in(value: JsonValue, key: str) -> JsonValue:
    if isinstance(value, list):
        return [_stand_in(item, key) for item in value]
    if not isinstance(value, dict):
        return _TEXT_STAND_IN if key in _LISTS_OF_ELEMENTS and key != "actions" else value
    kind = value.get("type")
    if kind is None and key not in _LISTS_OF_ELEMENTS:
        return {name: _without_text(name, item) for name, item in value.items()}
    if isinstance(kind, str) and kind in _stand_ins():
        return _stand_ins()[kind]
    if key == "inlines":
        return _stand_ins()["TextRun"]
    if key in ("actions", "selectAction") or (isinstance(kind, str) and kind.startswith("Action.")):  # fmt: skip
        return _stand_ins()["Action.OpenUrl"]
    return _stand_ins()["Image"] if key == "images" else _TEXT_STAND_IN


def _without_text(key: str, value: JsonValue) -> JsonValue:
    """Return a member for the schema, with free text left empty."""
    if isinstance(value, str) and key in _free_texts():
        return ""
    if key == "facts" and isinstance(value, list) and all(map(_is_fact, value)):
        return []
    return _stand_in(value, key)


def _is_fact(value: JsonValue) -> bool:
    """Tell whether a fact has a title and a value, which is all to judge."""
    return (
        isinstance(value, dict)
        and value.keys() == {"title", "value"}
        and all(isinstance(text, str) for text in value.values())
    )


@lru_cache(maxsize=1)
def _free_texts() -> frozenset[str]:
    """Return the members that may hold any text in every element."""
    free: dict[str, bool] = {}
    for definition in _definitions().values():
        for name, wanted in definition.get("properties", {}).items():
            of_any_text = wanted.get("type") == "string" and not _NARROWER & wanted.keys()
            free[name] = free.get(name, True) and of_any_text
    return frozenset(name for name, of_any_text in free.items() if of_any_text)


@lru_cache(maxsize=8192)
def _messages(kind: str, element: str) -> tuple[Fault, ...]:
    """Return the schema's faults of one element; many are alike."""
    members = json.loads(element)
    if kind == "TableCell":
        members.setdefault(
            "items", []
        )  # the schema requires it, Teams and Microsoft's own samples do not
    return tuple(_readable(kind, error) for error in _validator(kind).iter_errors(members))


def _readable(kind: str, error: ValidationError) -> Fault:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
    if error.validator == "additionalProperties":
        known = cast("dict[str, dict[str, object]]", error.schema).get("properties", {})
        unknown = sorted(set(cast("dict[str, object]", error.instance)) - set(known))
        message = (
            f"{kind} of Adaptive Cards 1.5 has no {', '.join(unknown)}, which Teams may ignore"
        )
        return Fault(path, message, _did_you_mean(unknown[0], known), warning=True)
    message = str(error.message)
    short = message if len(message) <= 200 else f"{message[:200]}…"
    # Every client uses the default instead of an unknown word.
    word = isinstance(error.instance, str) and error.validator in ("enum", "anyOf", "pattern")
    return Fault(path, short, "see adaptivecards.io/explorer", word)


@lru_cache(maxsize=32)
def _validator(kind: str) -> Draft6Validator:
    from jsonschema import Draft6Validator

    return Draft6Validator({"$ref": f"#/definitions/{kind}", "definitions": _definitions()})


@lru_cache(maxsize=1)
def _definitions() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("adaptive_card_1_5.json")
    schema = json.loads(path.read_text(encoding="utf-8"))
    return cast("dict[str, dict[str, Any]]", schema["definitions"])
