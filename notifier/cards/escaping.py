"""Escape event data: no Markdown, mention, link or change of direction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from pydantic import JsonValue

from notifier.templating.escape import ANY_VALUE, Escape, Omit
from notifier.templating.values import DROP, UNDEFINED, Value, to_json, to_text

GAP = "—"
"""Shown for an expression without value."""

_UNSEEN = re.compile(
    "[\u200b\u200e\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Bidi controls (Unicode TR9), invisible characters and C0 controls."""

_MARKDOWN = re.compile(
    r"\*|_(?:(?<![^\W_]_)|(?![^\W_]))|\\(?![A-Za-z0-9\x80-\U0010ffff ])"
    r"|\](?=[(:\[]|[-+] |\d+\. )|\)(?=[-+] |\d+\. )"
    r"|<(?=[A-Za-z/!?])|~(?=~)|&(?=#?\w+;)|\{(?=\{?(?:DATE|TIME)\()|://"
)
"""Signs that some client of Teams reads as Markdown, a mention, a date or a link.

The desktop reads CommonMark. Phones read a backslash as an escape before `*` and `_` only, show it anywhere else, and
begin a list after `)` and `]` too (MarkDownBlockParser.cpp of microsoft/Teams-AdaptiveCards-Mobile).
Each alternative begins with a literal, so that the search skips other signs quickly.
"""
_BLOCK = re.compile(r"[ \t]*(?:[-+](?![\w.])|[#=|:>]|\d+[.)](?:\s|$)|`{3})| {4}| {0,3}\t")
"""A line that begins a list, a heading, a quotation or code."""
_WORDS = r"A-Za-z0-9 .,:;(+%!?@#=|'\"$}^-"
_PLAIN = re.compile(
    rf"(?:[A-Za-z]|[0-9]++(?![.)](?:\s|\Z)))[{_WORDS}]*+(?:\)(?![-+0-9])[{_WORDS}]*+)*+"
)
"""Most texts: ASCII without a sign that may be Markdown anywhere, or at the beginning."""
_PLAIN_TO_ITS_END = re.compile(rf"(?:{_PLAIN.pattern})(?<! )")
_PLAIN_JOINED = re.compile(rf"(?:,? (?=[A-Za-z]))?(?:{_PLAIN.pattern})(?<!!)")
_QUIET = r"[^\\`*\[\]<>_~&){\x00-\x1f\x7f]*+"
_HARMLESS = re.compile(
    rf"(?:[A-Za-z]|(?!\s*(?:[-+#=|:]|\d+[.)](?:\s|\Z))| {{4}})[^\\`*\[\]<>_~&){{\x00-\x1f\x7f])"
    rf"{_QUIET}(?:\)(?![-+0-9]){_QUIET})*+"
)
"""The same for any printable text; "://" needs a search of its own."""
_DATE_MACRO = re.compile(
    r"\{\{(?:DATE|TIME)\([0-9T:Z+-]{16,25}(?:, ?(?:SHORT|LONG|COMPACT))?\)\}\}"
)
_WORD_JOINER = "\u2060"
_OPENING = re.compile("[*_\u2066-\u2068]+\\Z")
_CLOSING = re.compile("[*_\u2069]+")
"""Emphasis and isolates (U+2066 to U+2068, ended by U+2069) around a value."""
_LINE_ENDS = re.compile("[\r\n\x85\u2028\u2029]+")
_ADDRESS = re.compile(r"(?i:https?://|mailto:)[^\s\\]++")

MAX_ADDRESS = 2_000
"""Characters of a link. A longer one could cost the whole card, because it cannot be shortened; and browsers and proxies refuse some."""
_SCHEMES = ("https://", "http://")
_NO_LINK = "\ue000"
"""Marks a destination that must not be a link, until the whole text is known."""
_UNLINKED = re.compile(rf"!?\[((?:[^\[\]\\]|\\.|\[[^\[\]]*\])*+)\]\(<?{_NO_LINK}[^()]*\)")
_NO_DESTINATION = re.compile(rf"\]\(<?{_NO_LINK}[^()]*\)")
_DESTINATION = re.compile(r"\]\(\s*+<?((?:[^()<>\s]|\([^()<>\s]*\))*+)\Z")
_IN_LABEL = re.compile(r"\[[^\[\]]*\Z")
_LABEL_END = re.compile(r"[^\[\]]*\]\(")
_BREAKING_AN_ADDRESS = re.compile(r"[\s()<>\[\]{}\\*\"`|^~]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_")

_NO_PART_OF_AN_ADDRESS = re.compile(r"[\s<>\\\"`{|}^]")

_NOT_MARKDOWN = frozenset({"TextRun"})
_FACT_MEMBERS = frozenset({"title", "value"})
_FACTS = frozenset({"Fact", None})
TEXT_MEMBERS = frozenset(
    {"text", "title", "value", "altText", "speak", "fallbackText", "tooltip"}
)
_CONTENTS = {
    ("FactSet", "facts"), ("Container", "items"), ("ColumnSet", "columns"), ("RichTextBlock", "inlines"),
    ("ActionSet", "actions"), ("ImageSet", "images"), ("Table", "rows"), ("Media", "sources"),
}  # fmt: skip
"""The contents of an element; without contents it is not shown."""
_PAINTED = ("backgroundImage", "minHeight")
"""Members with which even an empty container is shown."""
_LISTS = frozenset({"body", "items", *(key for _, key in _CONTENTS)})
"""Whole lists that a template takes from the data."""
_ADDRESS_MEMBERS = frozenset({"url", "iconUrl", "backgroundImage", "poster"})


def autoescape(element: Mapping[str, JsonValue], key: str) -> Escape:
    """Return the escape of values in a member of an element.

    Text that Teams reads as Markdown is escaped (TextBlock.text, and title and value of a fact); an address must
    be http(s) or mailto, or its member is not shown, for `url` its element; an element is not shown without its
    contents, nor any other member that is empty; bidi controls and invisible characters are taken from all text.
    """
    kind = element.get("type")
    if kind is not None and not isinstance(kind, str):
        kind = ""
    if key in _ADDRESS_MEMBERS:
        return _URL if key == "url" else _WHOLE_ADDRESS
    if (key == "text" and kind not in _NOT_MARKDOWN) or (
        key in _FACT_MEMBERS and kind in _FACTS
    ):
        return MARKDOWN
    if key in TEXT_MEMBERS:
        return _PLAIN_TEXT
    if (kind, key) in _CONTENTS and not any(name in element for name in _PAINTED):
        return _CONTENT_LIST
    return _ANY_LIST if key in _LISTS else _OTHER_MEMBER


def escape_markdown(text: str) -> str:
    """Return text that Teams shows as it is, on the desktop and on phones.

    Markdown, mentions, bare addresses and date macros are broken by a word joiner, which nobody sees; `*` and `_` by a
    backslash, since every client understands it there. A line end becomes an empty line: the desktop ignores a single one.
    """
    return text if _PLAIN.fullmatch(text) else _escape_unusual(text)


def _escape_unusual(text: str) -> str:
    if _HARMLESS.fullmatch(text) and "://" not in text and text.isprintable():
        return text
    text = _paragraphs(visible(text))
    if text[:1] == "\\":
        # After emphasis of the template, phones read it as an escape.
        text = f"{_WORD_JOINER}\\{_WORD_JOINER}{text[1:]}"
    return _MARKDOWN.sub(lambda found: _ESCAPES[found[0]], text)


def _escape_but_macros(text: str) -> str:
    """Escape the result of an expression that writes `{{DATE(…)}}` itself."""
    parts: list[str] = []
    at = 0
    for macro in _DATE_MACRO.finditer(text):
        parts += (escape_markdown(text[at : macro.start()]), macro[0])
        at = macro.end()
    parts.append(escape_markdown(text[at:]))
    return "".join(parts)


def _paragraphs(text: str) -> str:
    """Make each line a paragraph, never a list, heading, quotation or code."""
    lines = [text]
    if _LINE_ENDS.search(text):
        lines = [line for each in _LINE_ENDS.split(text) if (line := each.rstrip(" \t"))]
    return "\n\n".join(
        f"{_WORD_JOINER}{line}" if _BLOCK.match(line) else line for line in lines
    )


_ESCAPES = {
    "*": "\\*",
    "_": "\\_",
    "://": f"{_WORD_JOINER}://",
    **{sign: f"{sign}{_WORD_JOINER}" for sign in "\\])<~&{"},
}


def visible(text: str) -> str:
    """Return text without bidi controls and other invisible characters."""
    return text if text.isprintable() else _UNSEEN.sub("", text)


def safe_address(value: Value) -> Value:
    """Return an http(s) or mailto address as it is, DROP for anything else."""
    if not isinstance(value, str) or len(value) > MAX_ADDRESS:
        return DROP
    if value.startswith(_SCHEMES) and value.isprintable():
        # Printable text has no invisible character and no space except " "; a pattern would be slower.
        return DROP if value in _SCHEMES or " " in value or "\\" in value else value
    return value if _ADDRESS.fullmatch(value) and visible(value) == value else DROP


def _destination(value: Value) -> str:
    """Encode the destination of a link; a mark if it must not be one."""
    encoded = _encoded(visible(value).strip()) if isinstance(value, str) else ""
    usable = len(encoded) <= MAX_ADDRESS and _ADDRESS.fullmatch(encoded)
    return encoded if usable else _NO_LINK


def _encoded(text: str) -> str:
    return _BREAKING_AN_ADDRESS.sub(_percent, text)


def _address_part(text: str) -> str:
    return _NO_PART_OF_AN_ADDRESS.sub(_percent, visible(text))


def _address_at(before: str, _after: str, _expression: str) -> Escape:
    """Return the escape of a value within an address: spaces are encoded."""
    return _ADDRESS_PART if "://" in before else _WHOLE_ADDRESS


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _label(text: str) -> str:
    """Escape the text of a link, so that it cannot end early."""
    line = " ".join(_LINE_ENDS.split(text.strip()))
    if not _balanced(line):
        line = line.replace("[", "(").replace("]", ")")
    return escape_markdown(line)


def _balanced(text: str) -> bool:
    depth = 0
    for bracket in re.findall(r"[\[\]]", text):
        depth += 1 if bracket == "[" else -1
        if depth < 0:
            return False
    return depth == 0


def _without_links(text: str) -> str:
    """Replace each link with a forbidden destination by its text."""
    if _NO_LINK not in text:
        return text
    # Deeper brackets stay, since no pattern finds where they began.
    return _NO_DESTINATION.sub("]", _UNLINKED.sub(r"\1", text)).replace(_NO_LINK, GAP)


def _markdown_at(before: str, after: str, expression: str) -> Escape:
    """Return the escape of a value within a text of Markdown."""
    destination = _DESTINATION.search(before)
    if destination is not None:
        return _DESTINATION_PART if destination[1] else _LINK_DESTINATION
    if _IN_LABEL.search(before) and _LABEL_END.match(after):
        return _LABEL
    if "{{DATE(" in expression or "{{TIME(" in expression:
        return _MACRO
    opening, closing = _OPENING.search(before), _CLOSING.match(after)
    if opening is not None and closing is not None:
        return _wrapped_escape(opening[0], closing[0])
    joined = (after and after[0] in _JOINING) or (before and before[-1] in f"]{ANY_VALUE}")
    return _JOINED if joined else MARKDOWN


_JOINING = f"[(:!~{ANY_VALUE}"
"""Text of the template after a value that could make a link or an image of it."""


def _escape_joined(text: str) -> str:
    """Escape a value whose neighbours could make Markdown of it."""
    escaped = escape_markdown(text)
    begin = _WORD_JOINER if escaped[:1] in ("(", ":", "[") else ""
    return f"{begin}{escaped}{_WORD_JOINER if escaped[-1:] in (']', '!', '~') else ''}"


@cache
def _wrapped_escape(opening: str, closing: str) -> Escape:
    """Return the escape of a value that the template emphasises or isolates.

    Both end with their paragraph (CommonMark; Unicode TR9), and emphasis neither begins nor ends with a space, and is not empty.
    """
    parting = f"{closing}\n\n{opening}"

    def escaped(text: str) -> str:
        return escape_markdown(text).replace("\n\n", parting)

    def emphasised(text: str) -> str:
        return escaped(text.strip()) or _WORD_JOINER

    if set(opening) & {"*", "_"}:
        return text_escape(emphasised, _PLAIN_TO_ITS_END.fullmatch)
    return text_escape(escaped, _PLAIN.fullmatch)


def _deep(escape: Callable[[str], str]) -> Callable[[Value], Value]:
    def cleaned(value: Value) -> Value:
        if isinstance(value, str):
            return escape(value)
        if isinstance(value, list):
            return [cleaned(item) for item in value]
        if isinstance(value, dict):
            return {
                escape(key): cleaned(item)
                for key, item in value.items()
                if key not in _ADDRESS_MEMBERS or safe_address(item) is not DROP
            }
        return value

    return cleaned


def text_escape(
    escape: Callable[[str], str],
    is_harmless: Callable[[str], object] | None = None,
    *,
    of_number: Callable[[str], str] = str,
) -> Escape:
    """Escape any value as text: Teams refuses a text that is a number."""

    def escape_value(value: Value) -> Value:
        if isinstance(value, str):
            return escape(value)
        if value is None or value is UNDEFINED:
            return GAP
        if isinstance(value, list | dict):
            return escape(to_json(value))
        return of_number(to_text(value))

    return Escape(escape_value, text=escape, is_harmless=is_harmless)


_WHOLE_ADDRESS = Escape(
    safe_address, whole_text=True, when_empty=Omit.MEMBER, inside_text=_address_at
)
_URL = replace(_WHOLE_ADDRESS, when_empty=Omit.ELEMENT)
_ADDRESS_PART = text_escape(_address_part)
MARKDOWN = replace(
    text_escape(escape_markdown, _PLAIN.fullmatch),
    text=_escape_unusual,
    inside_text=_markdown_at,
    finish=_without_links,
)
_MACRO = text_escape(_escape_but_macros, _PLAIN.fullmatch)
_JOINED = text_escape(_escape_joined, _PLAIN_JOINED.fullmatch)
_LABEL = text_escape(_label, _PLAIN.fullmatch)
_LINK_DESTINATION = Escape(_destination, text=_destination)
_DESTINATION_PART = text_escape(_encoded)
_PLAIN_TEXT = text_escape(visible, str.isprintable)
_ANY_LIST = Escape(_deep(escape_markdown), text=_escape_unusual, is_harmless=_PLAIN.fullmatch)
_CONTENT_LIST = replace(_ANY_LIST, when_empty=Omit.ELEMENT)
_OTHER_MEMBER = Escape(
    _deep(visible), text=visible, is_harmless=str.isprintable, when_empty=Omit.MEMBER
)
