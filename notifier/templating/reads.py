"""What an expression may read of the data."""

from __future__ import annotations

from collections.abc import Iterable

from notifier.templating.interpolation import parse_text
from notifier.templating.syntax import Call, Constant, Index, Member, Name, Node

_Names = frozenset[str] | None
"""The names that lambdas around an expression bind, in lower case; None: what begins at one is not left out."""


def paths_meant(node: Node) -> set[str]:
    """Return the data paths that an expression names, such as data.claim_id, without those that begin at a name it binds itself.

    Raises:
        TemplateError: As paths_in.
    """
    return _paths(node, frozenset())


def paths_in(node: Node) -> set[str]:
    """Return the data paths an expression may read, such as data.claim_id; with $data where only the data tell which.

    Paths from a bound name too: where its item has no such member they are looked up in the data.

    Raises:
        TemplateError: A literal of stringOrValue does not parse.
    """
    return _paths(node, None)


def _paths(node: Node, bound: _Names) -> set[str]:
    match node:
        case Name(name):
            return set() if bound is not None and name.lower() in bound else {name}
        case Member(owner, name):
            return {f"{path}.{name}" for path in _paths(owner, bound)}
        case Index(owner, Constant(str() as name)):
            return {f"{path}.{name}" for path in _paths(owner, bound)}
        case Index(owner, index):
            return _paths(owner, bound) | _paths(index, bound)
        case Call("select" | "foreach" | "where" | "any" | "all", (items, Name(item), body)):
            within = None if bound is None else bound | {item.lower()}
            return _paths(items, bound) | _paths(body, within)
        case Call("stringOrValue", (Constant(text),)):
            return _of_all(parse_text(str(text)), bound)
        case Call("getProperty", arguments):
            return {"$data"} | _of_all(arguments, bound)
        case Call(_, arguments):
            return _of_all(arguments, bound)
        case _:
            return set()


def _of_all(nodes: Iterable[Node], bound: _Names) -> set[str]:
    return {path for node in nodes for path in _paths(node, bound)}
