"""Remove the links from a card that operators see.

Whoever has a signed link can act with it.
"""

from __future__ import annotations

import re2
from pydantic import JsonValue

_MARKDOWN_LINK = re2.compile(
    r"!?\[((?:\\.|[^\\\[\]]|\[[^\[\]]*\])*)\]\([^()\s]*(?:\s[^()]*)?\)"
)
_SIGN = r"(?:[A-Za-z0-9_-]|\\_|%5F)"
"""A character of a token; Markdown writes an underscore in other ways too."""
_SIGNED = re2.compile(
    rf"(?:https?://[^\s\"'<>()]*)?/a/(?:{_SIGN}|[.%])+(?:\?(?:{_SIGN}|[.%=&])*)?"
)
_TOKEN = re2.compile(rf"{_SIGN}{{8}}\.[0-9a-f]{{32}}\.[0-9]\.[0-9]{{1,12}}\.{_SIGN}{{43}}")
_DROPPED = frozenset(
    {"selectAction", "refresh", "authentication", "backgroundImage", "iconUrl"}
)
_HARMLESS_ACTIONS = frozenset({"Action.ShowCard", "Action.ToggleVisibility"})
_NOWHERE = "about:blank"


def without_links(value: JsonValue) -> JsonValue:
    """Return a card, or any JSON, without addresses that act.

    Buttons are disabled; the look stays.
    """
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, list):
        return [without_links(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if isinstance(kind, str) and kind.startswith("Action.") and kind not in _HARMLESS_ACTIONS:
        return _button(value)
    return {
        _plain(key): without_links(item) for key, item in value.items() if key not in _DROPPED
    }


def _button(action: dict[str, JsonValue]) -> JsonValue:
    title = action.get("title")
    shown: dict[str, JsonValue] = {
        "type": "Action.OpenUrl",
        "title": _plain(title) if isinstance(title, str) else "",
        "url": _NOWHERE,
        "isEnabled": False,
    }
    style = action.get("style")
    return shown | ({"style": style} if style in ("positive", "destructive") else {})


def _plain(text: str) -> str:
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _SIGNED.sub("", text)
    return str(_TOKEN.sub("", text))
