"""What comes from an event is shown in a card as text: never as Markdown, a mention, a link or a change of direction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from notifier.templating.texts import Clean
from notifier.templating.values import DROP, UNDEFINED, Value, to_json, to_text

GAP = "—"
"""Shown where a template finds no value."""

_UNSEEN = re.compile(
    "[\u200b\u200e\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Bidi controls (Unicode TR9), invisible characters and C0 controls."""

_MARKDOWN = re.compile(
    r"[\\`*\[\]<>~]|&(?=#?\w+;)"
    r"|_(?:(?<![^\W_]_)|(?![^\W_]))"
    r"|^(?=[ \t]*(?:[-+](?![\w.])|[#=|:]|\d+[.)](?:\s|$))| {4}| {0,3}\t)[ \t]*"
    r"|://",
    re.MULTILINE,
)
_PLAIN = re.compile(
    r"(?:[A-Za-z]|[0-9]++(?![.)](?:\s|\Z)))[A-Za-z0-9 .,:;()+%!?@#=|'\"${}^-]*+"
)
"""Most texts: ASCII without a sign that may be Markdown anywhere, or at the beginning."""
_HARMLESS = re.compile(
    r"(?:[A-Za-z]|(?!\s*(?:[-+#=|:]|\d+[.)](?:\s|\Z))| {4}))[^\\`*\[\]<>_~&\x00-\x1f\x7f]*+"
)
"""The same of any text that is printable; "://" has to be looked for as well."""
_DATE_MACRO = re.compile(
    r"\{\{(?:DATE|TIME)\([0-9T:Z+-]{16,25}(?:, ?(?:SHORT|LONG|COMPACT))?\)\}\}"
)
_WORD_JOINER = "\u2060"
_ADDRESS = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s\\]++")

_SCHEMES = ("https://", "http://")

_MARKDOWN_MEMBERS = {
    ("TextBlock", "text"), ("Fact", "title"), ("Fact", "value"), (None, "title"), (None, "value"),
}  # fmt: skip
_TEXT_MEMBERS = frozenset(
    {"text", "title", "value", "altText", "speak", "fallbackText", "tooltip"}
)
_LISTS = frozenset({"facts", "items", "body", "columns", "inlines", "actions"})
"""Whole lists that a template takes from the data."""
_ADDRESS_MEMBERS = frozenset({"url", "iconUrl", "backgroundImage"})


def guard(element: Mapping[str, JsonValue], key: str) -> Clean:
    """Tell how values from the data are made harmless in a member of an element.

    Text that Teams reads as Markdown is escaped (TextBlock.text, and title and value of a fact); an address must
    be http(s), or its element is not shown; from all other text bidi controls and invisible characters are taken.
    """
    if key in _ADDRESS_MEMBERS:
        return _ADDRESS_CLEAN
    if (element.get("type"), key) in _MARKDOWN_MEMBERS:
        return _MARKDOWN_CLEAN
    if key in _TEXT_MEMBERS:
        return _PLAIN_CLEAN
    return _LIST_CLEAN if key in _LISTS else _OTHER_CLEAN


def escape_markdown(text: str) -> str:
    """Return text that Teams shows as it is: Markdown is escaped, mentions and bare addresses are broken.

    `{{DATE(…)}}` and `{{TIME(…)}}` that a template has built stay what they are.
    """
    return text if _PLAIN.fullmatch(text) else _escape_unusual(text)


def _escape_unusual(text: str) -> str:
    if _HARMLESS.fullmatch(text) and "://" not in text and text.isprintable():
        return text
    text = visible(text)
    if "{{" not in text:
        return _MARKDOWN.sub(_escaped, text)
    parts: list[str] = []
    at = 0
    for macro in _DATE_MACRO.finditer(text):
        parts += (_MARKDOWN.sub(_escaped, text[at : macro.start()]), macro[0])
        at = macro.end()
    parts.append(_MARKDOWN.sub(_escaped, text[at:]))
    return "".join(parts)


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if found == "://":
        # Teams makes a link of any bare address; a word joiner before the colon keeps it text.
        return f"{_WORD_JOINER}://"
    if found == "<":
        # A mention is `<at>`; a backslash alone would not stop Teams from reading one.
        return f"\\<{_WORD_JOINER}"
    if found == "" or found.isspace():
        # At the start of a line: a list, a heading or a quotation.
        return f"{_WORD_JOINER}{found}"
    return f"\\{found}"


def visible(text: str) -> str:
    """Return text without bidi controls, invisible characters and C0 controls but tab and line breaks."""
    return text if text.isprintable() else _UNSEEN.sub("", text)


def safe_address(value: Value) -> Value:
    """Return an http(s) address as it is, DROP for anything else."""
    if not isinstance(value, str):
        return DROP
    if value.startswith(_SCHEMES) and value.isprintable():
        # What is printable is no space but " ", and seen; a pattern would look at each sign.
        return DROP if value in _SCHEMES or " " in value or "\\" in value else value
    return value if _ADDRESS.fullmatch(value) and visible(value) == value else DROP


def _deep(clean: Callable[[str], str]) -> Callable[[Value], Value]:
    def cleaned(value: Value) -> Value:
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, list):
            return [cleaned(item) for item in value]
        if isinstance(value, dict):
            return {
                clean(key): cleaned(item)
                for key, item in value.items()
                if key not in _ADDRESS_MEMBERS or safe_address(item) is not DROP
            }
        return value

    return cleaned


def _as_text(clean: Callable[[str], str]) -> Callable[[Value], Value]:
    """Write any value as text: Teams refuses a card whose text is a number, which a binding keeps."""

    def written(value: Value) -> Value:
        if isinstance(value, str):
            return clean(value)
        if value is None or value is UNDEFINED:
            return GAP
        if isinstance(value, list | dict):
            return clean(to_json(value))
        return to_text(value)

    return written


_ADDRESS_CLEAN = Clean(safe_address, whole=True)
_MARKDOWN_CLEAN = Clean(
    _as_text(escape_markdown), text=_escape_unusual, harmless=_PLAIN.fullmatch
)
_PLAIN_CLEAN = Clean(_as_text(visible), text=visible, harmless=str.isprintable)
_LIST_CLEAN = Clean(_deep(escape_markdown), text=_escape_unusual, harmless=_PLAIN.fullmatch)
_OTHER_CLEAN = Clean(_deep(visible), text=visible, harmless=str.isprintable)
