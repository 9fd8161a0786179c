"""Arabic cards: each value within a text is isolated, for a claim number there would be read from its wrong end."""

from __future__ import annotations

import re

from pydantic import JsonValue

from notifier.templating.interpolation import expression_spans

_BEGIN, _END = "\u2068", "\u2069"
"""FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode TR9): digits alone run from left to right between them."""
_TEXTS = frozenset({"text", "title", "value", "altText", "speak", "fallbackText", "tooltip"})
_NOT_HERE = re.compile(r"\]\([^()\s]*\Z|\{\{(?:DATE|TIME)\([^()]*\Z|[\u2066-\u2068]\Z")
"""What stands before a value that is a part of a link's address or of a date, or is isolated already."""


def isolated(card: JsonValue) -> JsonValue:
    """Return a template with each value within Arabic text isolated; one in another language as it is."""
    return _isolated(card) if is_arabic(card) else card


def is_arabic(card: JsonValue) -> bool:
    """Tell whether a template is one in Arabic."""
    return isinstance(card, dict) and str(card.get("lang", "")).partition("-")[0] == "ar"


def _isolated(node: JsonValue) -> JsonValue:
    if isinstance(node, list):
        return [_isolated(item) for item in node]
    if isinstance(node, dict):
        return {
            key: _text(value) if isinstance(value, str) and key in _TEXTS else _isolated(value)
            for key, value in node.items()
        }
    return node


def _text(text: str) -> str:
    parts: list[str] = []
    done = 0
    for begin, end in expression_spans(text):
        parts.append(text[done:begin])
        alone = (begin, end) == (0, len(text))
        value = text[begin:end]
        parts.append(
            value if alone or _NOT_HERE.search(text[:begin]) else f"{_BEGIN}{value}{_END}"
        )
        done = end
    return "".join((*parts, text[done:]))
