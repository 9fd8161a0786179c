"""Define the syntax tree of an expression, and write it as text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from notifier.templating.values import UNDEFINED, is_number, number_text, to_json


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
    """A function or operator, by its canonical name, with its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node = Constant | Name | Member | Index | Call


def weight_of(node: Node) -> int:
    """Estimate the steps of an expression, without those of its functions."""
    match node:
        case Call(_, arguments):
            return 3 + sum(map(weight_of, arguments))
        case Member(owner, _):
            return 1 + weight_of(owner)
        case Index(owner, index):
            return 2 + weight_of(owner) + weight_of(index)
        case _:
            return 1


def show(node: Node) -> str:
    """Write an expression as the reference does where it has no value."""
    match node:
        case Constant(value):
            return _show_constant(value)
        case Name(name):
            return name
        case Member(owner, name):
            return f"{show(owner)}.{name}"
        case Index(owner, index):
            return f"{show(owner)}[{show(index)}]"
        case Call(function, arguments):
            shown = [show(argument) for argument in arguments]
            if not function[0].isalpha() and len(shown) > 1:
                return f"({f' {function} '.join(shown)})"
            return f"{function}({', '.join(shown)})"


def _show_constant(value: object) -> str:
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, str):
        doubled = value.replace("\\", "\\\\")
        return "'" + re.sub(r"(?<!\\)'", r"\\'", doubled) + "'"
    if is_number(value):
        return number_text(value)  # type: ignore[arg-type]
    return to_json(value)
