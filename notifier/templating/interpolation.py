r"""Text with `${…}` in it is split as the reference's lexer does (ExpressionAntlrLexer.g4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from notifier.errors import TemplateError
from notifier.templating.parser import STRING, parse
from notifier.templating.syntax import Constant, Node

_PLAIN = re.compile(r"[^\r\n{}'\"`]")
_STRING = re.compile(STRING)
KEY = "|".join(
    (
        r"(?:@@|[A-Za-z_#@$%])[A-Za-z0-9_]*:",
        *(
            rf"{quote}(?:[^{quote}\\]|\\[{quote}\\]|\\(?![{quote}\\]))*{quote}:|{quote}(?:[^{quote}]|(?<=\\){quote})*{quote}:"
            for quote in "'\""
        ),
    )
)
"""A name or a string, and a colon; a string is read in linear time, as STRING is."""
_KEY = re.compile(KEY)
_MAX_OBJECTS = 20


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands between `${` and `}`."""

    source: str


def split_text(text: str) -> list[str | Expression]:
    r"""Split `a ${b} c` into "a ", Expression("b"), " c"; `\$` is a dollar, "\`" a backtick.

    A `${` that no `}` closes stays text, as in the reference.

    Raises:
        TemplateError: There is a backtick without a backslash, which the reference cannot read.
    """
    parts: list[str | Expression] = []
    literal: list[str] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\" and text[at + 1 : at + 2] in {"`", "$"}:
            literal.append(text[at + 1])
            at += 2
        elif sign == "\\" and at == len(text) - 1:
            raise TemplateError("ends with a backslash, which the reference cannot read")
        elif sign == "`":
            raise TemplateError("has a backtick; write \\` in a text with expressions")
        elif sign == "$" and (end := _template_end(text, at)) is not None:
            if literal:
                parts.append("".join(literal))
                literal = []
            parts.append(Expression(text[at + 2 : end - 1]))
            at = end
        else:
            literal.append(sign)
            at += 1
    if literal:
        parts.append("".join(literal))
    return parts


def expression_spans(text: str) -> list[tuple[int, int]]:
    """Return where each `${…}` of a text begins and ends, as split_text finds them."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = _template_end(text, at) if text[at] == "$" else None
        if end is not None:
            found.append((at, end))
        at = end or at + (2 if text[at] == "\\" else 1)
    return found


def parse_text(text: str) -> list[Node]:
    """Return the literal parts of text and its expressions as syntax trees.

    Raises:
        TemplateError: An expression does not parse, or as split_text.
    """
    return [
        Constant(part) if isinstance(part, str) else parse(part.source)
        for part in split_text(text)
    ]


def _template_end(text: str, start: int) -> int | None:
    """Return where the `${…}` that starts here ends, None when it is none."""
    if not text.startswith("${", start):
        return None
    at = start + 2
    while at < len(text):
        if text[at] == "}":
            return at + 1 if at > start + 2 else None
        after = _piece_end(text, at, 0)
        if after is None:
            return None
        at = after
    return None


def _piece_end(text: str, at: int, depth: int) -> int | None:
    string = _STRING.match(text, at)
    if string is not None:
        return string.end()
    if text[at] == "{":
        return _object_end(text, at, depth + 1)
    return at + 1 if _PLAIN.match(text, at) else None


def _object_end(text: str, at: int, depth: int) -> int | None:
    at += 1
    if depth > _MAX_OBJECTS:
        return None
    if text.startswith("}", at):
        return at + 1
    key = _KEY.match(text, at)
    if key is None:
        return None
    at = key.end()
    while at < len(text):
        if text[at] == "}":
            return at + 1
        after = _piece_end(text, at, depth)
        if after is None:
            return None
        at = after
    return None
