"""Write lists, objects and repeated elements of a template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Flag, auto

from notifier.templating.codegen import Evaluate, FunctionSource
from notifier.templating.scope import Scope
from notifier.templating.values import DROP, UNDEFINED


class MayBe(Flag):
    """The values that a node may have besides text or an object."""

    NOTHING_ELSE = 0
    NONE = auto()
    """An element that is not shown."""
    UNDEFINED = auto()
    DROPPED = auto()
    """A value whose element must not be shown."""
    ANYTHING = auto()


_NOTHING = ((MayBe.NONE, "None"), (MayBe.DROPPED, "DROP"))


@dataclass(frozen=True, slots=True)
class StaticNode:
    """A node that is always the same."""

    value: object

    def atom(self, source: FunctionSource) -> str:
        """Return the atom of its value."""
        return source.constant(self.value)


@dataclass(frozen=True, slots=True)
class DynamicNode:
    """A node whose value has a name in the source."""

    name: str
    may_be: MayBe = MayBe.NOTHING_ELSE

    def atom(self, _source: FunctionSource) -> str:
        """Return the atom of its value."""
        return self.name


CompiledNode = StaticNode | DynamicNode


def write_array(items: Iterable[CompiledNode], source: FunctionSource) -> CompiledNode:
    """Write a list; lists within it are joined, hidden items left out."""
    fixed: list[object] = []
    waiting: list[str] = []
    array = ""

    def write_waiting() -> str:
        name = array or source.new_name()
        if waiting or not array:
            source.add(f"{name} {'+=' if array else '='} [{', '.join(waiting)}]")
        waiting.clear()
        return name

    changes = False
    for item in items:
        if isinstance(item, StaticNode):
            same: list[object] = []
            _extend(same, item.value)
            fixed += same
            waiting += [source.constant(value) for value in same]
            continue
        changes = True
        if item.may_be is MayBe.NOTHING_ELSE:
            waiting.append(item.name)
            continue
        array = write_waiting()
        if not item.may_be & (MayBe.ANYTHING | MayBe.UNDEFINED):
            nothing = [
                f"{item.name} is not {name}"
                for may_be, name in _NOTHING
                if item.may_be & may_be
            ]
            source.add(f"if {' and '.join(nothing)}: {array}.append({item.name})")
        else:
            source.add(f"{source.constant(_extend)}({array}, {item.name})")
    if not changes:
        return StaticNode(fixed)
    return DynamicNode(write_waiting(), MayBe.ANYTHING)


def _extend(array: list[object], value: object) -> None:
    if isinstance(value, list):
        array.extend(value)
    elif value is not None and value is not DROP:
        array.append(None if value is UNDEFINED else value)


def write_object(
    name: str,
    members: Mapping[str, CompiledNode],
    source: FunctionSource,
    omitting: Mapping[str, str],
) -> CompiledNode:
    """Write an object under a name, without members that are undefined.

    `omitting` gives conditions under which members are left out too.
    """
    if all(isinstance(part, StaticNode) for part in members.values()):
        return StaticNode(
            {key: part.value for key, part in members.items() if isinstance(part, StaticNode)}
        )
    shown = ", ".join(f"{key!r}: {part.atom(source)}" for key, part in members.items())
    source.add(f"{name} = {{{shown}}}")
    for key, part in members.items():
        conditions = [omitting[key]] if key in omitting else []
        if isinstance(part, DynamicNode) and MayBe.UNDEFINED in part.may_be:
            conditions.append(f"{part.name} is UNDEFINED")
        if conditions:
            source.add(f"if {' or '.join(conditions)}: del {name}[{key!r}]")
    return DynamicNode(name)


def repeated(body: Evaluate, weight: int) -> Callable[[Scope, object], object]:
    """Return the expansion of an element, once per item of its `$data`."""

    def expand(scope: Scope, data: object) -> object:
        if not isinstance(data, list):
            return body(scope if data is UNDEFINED else scope.at(data, scope.index))
        scope.count(len(data) * weight)
        results: list[object] = []
        for index, item in enumerate(data):
            built = body(scope.at(scope.data if item is UNDEFINED else item, index))
            if built is not None and built is not DROP:
                results.append(built)
        if not results:
            return None
        return results[0] if len(results) == 1 else results

    return expand
