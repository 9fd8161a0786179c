"""Adaptive Expressions: text becomes a syntax tree (precedence as in the reference grammar)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from notifier.errors import TemplateError

MAX_LENGTH = 10_000
MAX_DEPTH = 60

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_$@#][A-Za-z0-9_$@]*)"
    r"|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<op>==|!=|<>|<=|>=|&&|\|\||\?\?|=>|[-+*/%^&<>!?:.,()\[\]{}]))",
    re.DOTALL,
)
_BINARY = {
    "??": 1, "||": 2, "&&": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "&": 5, "==": 6, "!=": 6, "<>": 6,
    "+": 7, "-": 7, "*": 8, "/": 8, "%": 8, "^": 9,
}  # fmt: skip
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"', "`": "`", "$": "$"}


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: object


@dataclass(frozen=True, slots=True)
class Name:
    """A name looked up in the data, or one of $root, $data, $index, $host."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`owner.name`, with the name known."""

    owner: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`owner[expression]`."""

    owner: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator with its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Node, ...]


Node = Constant | Name | Member | Index | Call | ListOf


def parse(text: str) -> Node:
    """Parse one expression; raises TemplateError with what is wrong and where."""
    if len(text) > MAX_LENGTH:
        raise TemplateError(
            f"expression has {len(text)} characters, the limit is {MAX_LENGTH}; split it"
        )
    parser = _Parser(_signs(text), text)
    node = parser.expression(0, 0)
    parser.expect_end()
    return node


def path_of(node: Node) -> str | None:
    """Return `data.errors` for a plain path, None for anything else."""
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Member):
        owner = path_of(node.owner)
        return None if owner is None else f"{owner}.{node.name}"
    if isinstance(node, Index) and isinstance(node.index, Constant):
        owner = path_of(node.owner)
        shown = (
            f"'{node.index.value}'" if isinstance(node.index.value, str) else node.index.value
        )
        return None if owner is None else f"{owner}[{shown}]"
    return None


def _signs(text: str) -> list[tuple[str, str]]:
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
        if depth > MAX_DEPTH:
            raise TemplateError(f"expression is nested more than {MAX_DEPTH} deep; split it")
        left = self._unary(depth)
        while True:
            kind, sign = self._tokens[self._at]
            if kind != "op":
                return left
            if sign == "?" and least == 0:
                left = self._ternary(left, depth)
                continue
            power = _BINARY.get(sign, 0)
            if power == 0 or power <= least:
                return left
            self._at += 1
            right = self.expression(power, depth + 1)
            left = Call("!=" if sign == "<>" else sign, (left, right))

    def expect_end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise self._unexpected()

    def _ternary(self, condition: Node, depth: int) -> Node:
        self._take("?")
        yes = self.expression(0, depth + 1)
        self._take(":")
        return Call("if", (condition, yes, self.expression(0, depth + 1)))

    def _unary(self, depth: int) -> Node:
        kind, sign = self._tokens[self._at]
        if kind == "op" and sign in "!-+":
            self._at += 1
            if depth > MAX_DEPTH:
                raise TemplateError(
                    f"expression is nested more than {MAX_DEPTH} deep; split it"
                )
            operand = self._unary(depth + 1)
            return Call({"!": "not", "-": "negate", "+": "plus"}[sign], (operand,))
        return self._postfix(self._primary(depth), depth)

    def _primary(self, depth: int) -> Node:
        kind, sign = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return Constant(int(sign) if sign.isdigit() else float(sign))
        if kind == "string":
            return Constant(unescape(sign[1:-1]))
        if kind == "name":
            return self._named(sign, depth)
        if sign == "(":
            inner = self.expression(0, depth + 1)
            self._take(")")
            return inner
        if sign == "[":
            return ListOf(self._arguments("]", depth))
        if sign == "{" and self._tokens[self._at][1] == "}":
            self._at += 1
            return Call("json", (Constant("{}"),))
        self._at -= 1
        raise self._unexpected()

    def _named(self, name: str, depth: int) -> Node:
        if self._tokens[self._at] == ("op", "("):
            self._at += 1
            return Call(name, self._arguments(")", depth))
        literals: dict[str, object] = {"true": True, "false": False, "null": None}
        return Constant(literals[name.lower()]) if name.lower() in literals else Name(name)

    def _postfix(self, node: Node, depth: int) -> Node:
        while True:
            kind, sign = self._tokens[self._at]
            if (kind, sign) == ("op", "."):
                self._at += 1
                name_kind, name = self._tokens[self._at]
                if name_kind != "name":
                    raise self._unexpected()
                self._at += 1
                dotted = path_of(node)
                if self._tokens[self._at] == ("op", "(") and dotted is not None:
                    # Functions may have dotted names, such as Data.ToUpper.
                    self._at += 1
                    node = Call(f"{dotted}.{name}", self._arguments(")", depth))
                else:
                    node = Member(node, name)
            elif (kind, sign) == ("op", "["):
                self._at += 1
                index = self.expression(0, depth + 1)
                self._take("]")
                node = Index(node, index)
            else:
                return node

    def _arguments(self, closing: str, depth: int) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._tokens[self._at] == ("op", closing):
            self._at += 1
            return ()
        while True:
            found.append(self.expression(0, depth + 1))
            kind, sign = self._tokens[self._at]
            self._at += 1
            if (kind, sign) == ("op", closing):
                return tuple(found)
            if (kind, sign) not in (("op", ","), ("op", "=>")):
                self._at -= 1
                raise self._unexpected()

    def _take(self, sign: str) -> None:
        if self._tokens[self._at] != ("op", sign):
            raise self._unexpected()
        self._at += 1

    def _unexpected(self) -> TemplateError:
        kind, sign = self._tokens[self._at]
        found = "its end" if kind == "end" else repr(sign)
        return TemplateError(
            f"expression ${{{self._text[:80]}}} is not complete or has {found} where it does not belong"
        )


def unescape(text: str) -> str:
    """Resolve backslash escapes; an unknown one stays as it is."""
    return re.sub(
        r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL
    )
