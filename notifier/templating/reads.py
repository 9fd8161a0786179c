"""What an expression may read of the data."""

from __future__ import annotations

from collections.abc import Iterable

from notifier.templating.interpolation import parse_text
from notifier.templating.syntax import Call, Constant, Index, Member, Name, Node


def paths_in(node: Node) -> set[str]:
    """Return the data paths an expression may read, such as data.claim_id; with $data where only the data tell which.

    Raises:
        TemplateError: A literal of stringOrValue does not parse.
    """
    match node:
        case Name(name):
            return {name}
        case Member(owner, name):
            return {f"{path}.{name}" for path in paths_in(owner)}
        case Index(owner, Constant(str() as name)):
            return {f"{path}.{name}" for path in paths_in(owner)}
        case Index(owner, index):
            return paths_in(owner) | paths_in(index)
        case Call("select" | "foreach" | "where" | "any" | "all", (items, Name(), body)):
            # Paths from the bound name too: where its item has no such member they are looked up in the data.
            return paths_in(items) | paths_in(body)
        case Call("stringOrValue", (Constant(text),)):
            return _paths_in_all(parse_text(str(text)))
        case Call("getProperty", arguments):
            return {"$data"} | _paths_in_all(arguments)
        case Call(_, arguments):
            return _paths_in_all(arguments)
        case _:
            return set()


def _paths_in_all(nodes: Iterable[Node]) -> set[str]:
    return {path for node in nodes for path in paths_in(node)}
