r"""Parse texts with `${…}` and their expressions.

The grammar is that of the reference: ExpressionAntlrLexer.g4 and ExpressionAntlrParser.g4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from notifier.errors import TemplateError
from notifier.templating.ast import Call, Constant, Index, Member, Name, Node
from notifier.templating.signatures import ALIASES
from notifier.templating.values import UNDEFINED

MAX_LENGTH = 10_000
MAX_DEPTH = 60

STRING = "|".join(
    rf"{quote}(?:[^{quote}\\]|\\[{quote}\\]|\\(?![{quote}\\]))*{quote}|{quote}[\s\S]*{quote}"
    for quote in "'\""
)
"""To the first quote that no backslash escapes, or else to the last one: what the reference's grammar matches, without its choice
of reading `\\\\` as one sign or two, which takes exponential time where no quote follows."""
_TOKEN = re.compile(
    r"[ \t\ufeff\u00a0\r\n]*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<name>(?:@@|[A-Za-z_#@$]|%(?=[A-Za-z0-9_]))[A-Za-z0-9_]*)"
    rf"|(?P<string>{STRING})"
    r"|(?P<op>==|!=|<>|<=|>=|&&|\|\||\?\?|=>|[-+*/%^&<>!?:.,()\[\]{}]))",
)
_BINARY = {
    "??": 3, "||": 4, "&&": 5, "<": 6, "<=": 6, ">": 6, ">=": 6, "&": 7, "==": 8, "!=": 8, "<>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10, "^": 11,
}  # fmt: skip
_TERNARY = 2
_LITERALS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}
_ESCAPES = {"\\r": "\r", "\\n": "\n", "\\t": "\t", "\\\\": "\\"}


def parse(text: str) -> Node:
    """Parse one expression, the text between `${` and `}`.

    Raises:
        TemplateError: It does not parse; says why.
    """
    if len(text) > MAX_LENGTH:
        raise TemplateError(
            f"expression has {len(text)} characters, the limit is {MAX_LENGTH}; split it"
        )
    bare = text.strip().removeprefix("=")
    if not bare:
        return Constant("")
    parser = _Parser(_tokens(bare), bare)
    node = parser.expression(0, 0)
    parser.expect_end()
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise TemplateError(
                f"cannot read the expression at character {at + 1}: {text[at : at + 20]!r}"
            )
        kind = match.lastgroup or "op"
        found.append((kind, match[kind]))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = [*tokens, ("end", "")]
        self._at = 0
        self._text = text

    def expression(self, least: int, depth: int) -> Node:
        left = self._unary(depth)
        while True:
            kind, sign = self._tokens[self._at]
            if kind != "op":
                return left
            if sign == "?" and least <= _TERNARY:
                left = self._ternary(left, depth)
                continue
            power = _BINARY.get(sign, -1)
            if power < least:
                return left
            self._at += 1
            # ^ binds to the right, all others to the left.
            right = self.expression(power if sign == "^" else power + 1, depth + 1)
            left = Call(ALIASES.get(sign, sign), (left, right))

    def expect_end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise self._unexpected()

    def _ternary(self, condition: Node, depth: int) -> Node:
        self._take("?")
        yes = self.expression(0, depth + 1)
        self._take(":")
        return Call("if", (condition, yes, self.expression(_TERNARY + 1, depth + 1)))

    def _unary(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise TemplateError(f"expression is nested more than {MAX_DEPTH} deep; split it")
        kind, sign = self._tokens[self._at]
        if kind == "op" and sign in "!-+":
            self._at += 1
            operand = self._unary(depth + 1)
            return Call("!", (operand,)) if sign == "!" else Call(sign, (Constant(0), operand))
        return self._postfix(*self._primary(depth), depth)

    def _primary(self, depth: int) -> tuple[Node, str | None]:
        """Return the node, and its name where a call may follow."""
        kind, sign = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            # More than 16 digits exceed a double, and Python refuses to read thousands.
            exact = "." not in sign and len(sign) <= 16 and int(sign) <= 2**53
            return Constant(int(sign) if exact else float(sign)), None
        if kind == "string":
            return Constant(_unquoted(sign)), None
        if kind == "name":
            return (Constant(_LITERALS[sign]) if sign in _LITERALS else Name(sign)), sign
        if sign == "(":
            inner = self.expression(0, depth + 1)
            self._take(")")
            return inner, None
        if sign == "[":
            return Call("createArray", self._arguments("]", depth)), None
        if sign == "{":
            return self._object(depth), None
        self._at -= 1
        raise self._unexpected()

    def _object(self, depth: int) -> Node:
        node: Node = Call("json", (Constant("{}"),))
        if self._skip("}"):
            return node
        while True:
            kind, sign = self._tokens[self._at]
            if kind not in {"name", "string"}:
                raise self._unexpected()
            self._at += 1
            self._take(":")
            key = Constant(sign if kind == "name" else sign[1:-1])
            node = Call("setProperty", (node, key, self.expression(0, depth + 1)))
            if self._skip("}"):
                return node
            self._take(",")

    def _postfix(self, node: Node, name: str | None, depth: int) -> Node:
        while True:
            if self._skip("."):
                kind, sign = self._tokens[self._at]
                if kind != "name":
                    raise self._unexpected()
                self._at += 1
                node, name = Member(node, sign), None if name is None else f"{name}.{sign}"
            elif self._skip("["):
                node, name = Index(node, self.expression(0, depth + 1)), None
                self._take("]")
            elif self._tokens[self._at] == ("op", "(") and name is not None:
                self._at += 1
                node = Call(ALIASES.get(name, name), self._arguments(")", depth))
                name = None
            else:
                return node

    def _arguments(self, closing: str, depth: int) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._skip(closing):
            return ()
        while True:
            if self._tokens[self._at][0] == "name" and self._tokens[self._at + 1][1] == "=>":
                found.append(Name(self._tokens[self._at][1]))
                self._at += 2
            found.append(self.expression(0, depth + 1))
            if self._skip(closing):
                return tuple(found)
            self._take(",")

    def _skip(self, sign: str) -> bool:
        if self._tokens[self._at] != ("op", sign):
            return False
        self._at += 1
        return True

    def _take(self, sign: str) -> None:
        if not self._skip(sign):
            raise self._unexpected()

    def _unexpected(self) -> TemplateError:
        kind, sign = self._tokens[self._at]
        found = "its end" if kind == "end" else repr(sign)
        return TemplateError(
            f"expression ${{{self._text[:80]}}} is not complete, or {found} is in the wrong place"
        )


def _unquoted(text: str) -> str:
    quote = text[0]
    inner = text[1:-1].replace("\\" + quote, quote)
    return re.sub(r"\\[^\r\n]?", lambda match: _ESCAPES.get(match[0], match[0]), inner)


_TEXT_SIGN = re.compile(r"[^\r\n{}'\"`]")
_STRING_PATTERN = re.compile(STRING)
KEY = "|".join(
    (
        r"(?:@@|[A-Za-z_#@$%])[A-Za-z0-9_]*:",
        *(
            rf"{quote}(?:[^{quote}\\]|\\[{quote}\\]|\\(?![{quote}\\]))*{quote}:|{quote}(?:[^{quote}]|(?<=\\){quote})*{quote}:"
            for quote in "'\""
        ),
    )
)
"""A name or a string, and a colon; a string takes linear time, as with STRING."""
_KEY = re.compile(KEY)
_MAX_OBJECTS = 20
_ESCAPED = re.compile(r"\\([`$])")


@dataclass(frozen=True, slots=True)
class Expression:
    """The text between `${` and `}`."""

    source: str


def split_text(text: str) -> list[str | Expression]:
    r"""Split `a ${b} c` into "a ", Expression("b"), " c".

    `\$` is a dollar, "\`" a backtick. As in the reference, a `${` that no `}` closes stays text.

    Raises:
        TemplateError: There is a backtick without a backslash, which the reference cannot read.
    """
    parts: list[str | Expression] = []
    done = 0
    for begin, end in expression_spans(text):
        parts += [_literal(text[done:begin]), Expression(text[begin + 2 : end - 1])]
        done = end
    parts.append(_literal(text[done:]))
    if text.endswith("\\"):
        raise TemplateError("ends with a backslash, which the reference cannot read")
    return [part for part in parts if part != ""]


def _literal(text: str) -> str:
    if "`" in _ESCAPED.sub("", text):
        raise TemplateError("has a backtick; write \\` in a text with expressions")
    return _ESCAPED.sub(r"\1", text)


def expression_spans(text: str) -> list[tuple[int, int]]:
    """Return where each `${…}` of a text begins and ends."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = _template_end(text, at) if text[at] == "$" else None
        if end is not None:
            found.append((at, end))
        at = end or at + (2 if _ESCAPED.match(text, at) else 1)
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
    """Return the end of the `${…}` that starts here, None if it has none."""
    if not text.startswith("${", start):
        return None
    return None if text.startswith("${}", start) else _brace_end(text, start + 2, 0)


def _brace_end(text: str, begin: int, depth: int) -> int | None:
    """Return the end after the `}` that closes what begins here."""
    at: int | None = begin
    while at is not None and at < len(text):
        if text[at] == "}":
            return at + 1
        at = _piece_end(text, at, depth)
    return None


def _piece_end(text: str, at: int, depth: int) -> int | None:
    string = _STRING_PATTERN.match(text, at)
    if string is not None:
        return string.end()
    if text[at] != "{":
        return at + 1 if _TEXT_SIGN.match(text, at) else None
    if depth == _MAX_OBJECTS:
        return None
    key = _KEY.match(text, at + 1)
    if key is not None:
        return _brace_end(text, key.end(), depth + 1)
    return at + 2 if text.startswith("}", at + 1) else None
