"""Isolate the values in Arabic cards, so that numbers keep their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from notifier.cards.escaping import (
    MARKDOWN,
    TEXT_MEMBERS,
    autoescape,
    escape_markdown,
    text_escape,
)
from notifier.templating.escape import Escape
from notifier.templating.parser import expression_spans

_BEGIN, _END = "\u2068", "\u2069"
"""FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode TR9): digits alone run from left to right between them."""
_NOT_HERE = re.compile(r"\]\([^()\s]*\Z|\{\{(?:DATE|TIME)\([^()]*\Z|[\u2066-\u2068]\Z")
"""The text before a value in the address of a link or in a date, or before one that is isolated already."""
_LEFT_TO_RIGHT = re.compile(
    r"(?:[\W\d_])*+[A-Za-z\u00c0-\u058f]|(?![0-9]+(?:[-,.:/][0-9]+)*\Z)(?:[\W_]*+[0-9])(?:[\W_0-9])*+\Z"
)
"""A text that begins with Latin letters, or digits whose order changes from right to left (Unicode TR9, W4)."""


def is_arabic(card: JsonValue) -> bool:
    """Tell whether a template is in Arabic."""
    return isinstance(card, dict) and str(card.get("lang", "")).partition("-")[0] == "ar"


def isolate_values(card: JsonValue) -> JsonValue:
    """Isolate each value within the texts of an Arabic template."""
    return _isolated(card) if is_arabic(card) else card


def _isolated(node: JsonValue) -> JsonValue:
    if isinstance(node, list):
        return [_isolated(item) for item in node]
    if isinstance(node, dict):
        return {
            key: _text(value)
            if isinstance(value, str) and key in TEXT_MEMBERS
            else _isolated(value)
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


def arabic_autoescape(element: Mapping[str, JsonValue], key: str) -> Escape:
    """Escape as `autoescape`, and isolate a value that is a whole text."""
    escape = autoescape(element, key)
    return _ARABIC if escape is MARKDOWN else escape


def _within(before: str, after: str, expression: str) -> Escape:
    alone = not (before or after or "{{DATE(" in expression or "{{TIME(" in expression)
    if alone or MARKDOWN.inside_text is None:
        return _ALONE
    return MARKDOWN.inside_text(before, after, expression)


def _escape_alone(text: str) -> str:
    """Escape and isolate, or `17-ab.` would be read as `.ab-17`."""
    paragraphs = escape_markdown(text).split("\n\n")
    return "\n\n".join(
        f"{_BEGIN}{each}{_END}" if _LEFT_TO_RIGHT.match(each) else each for each in paragraphs
    )


_ARABIC = replace(MARKDOWN, inside_text=_within)
_ALONE = text_escape(_escape_alone, of_number=_escape_alone)
