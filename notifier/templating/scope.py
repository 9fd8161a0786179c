"""Hold the values of names in a template, and follow paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from notifier.errors import TemplateError
from notifier.templating.values import UNDEFINED, Value, member

MAX_STEPS = 120_000
"""Steps of work in one expansion, about 0.3 µs each: an element or a call takes a few, a card some hundreds."""

LONG = 100
"""Characters from which a text counts as work."""

FEW = 16
"""Items up to which a list or object does not count as work."""

VERSION: dict[str, Value] = {"major": 2, "minor": 3, "patch": 1, "suffix": ""}
"""The version of Microsoft's templating library that this follows, as $_acTemplateVersion."""


_LEAVES = frozenset({str, int, float, bool, type(None)})


class DataName(str):
    """A name without value that comes from the data: not for a log."""

    __slots__ = ()


@dataclass(slots=True)
class Scope:
    """The values of names at one place of a template."""

    root: Value
    data: Value
    index: Value
    host: Value
    missing: Callable[[str], Value]
    """Returns the replacement for a path or an expression without value, given the text inside `${…}`."""
    lenient: bool
    """Whether `missing` also gives the value where the reference throws."""
    steps: list[int]
    folds: dict[int, tuple[object, dict[str, str]]]
    """By id of a large object: the object, which must stay alive, and its names in lower case and as they are."""
    local: tuple[Value, ...] = ()

    def count(self, steps: int) -> None:
        """Count work; raises TemplateError if it takes too many steps."""
        self.steps[0] += steps
        if self.steps[0] > MAX_STEPS:
            raise TemplateError(
                f"expansion takes more than {MAX_STEPS} steps; shorten the lists it goes through"
            )

    def weigh(self, value: Value) -> None:
        """Count the work of reading a value once.

        Raises:
            TemplateError: The expansion takes too many steps.
        """
        if isinstance(value, str):
            if len(value) > LONG:
                self.count(len(value) // 100)
        elif isinstance(value, bytes):
            self.count(len(value))
        elif isinstance(value, list | dict) and len(value) > FEW:
            self.count(len(value) // 4)

    def weigh_all(self, value: Value, times: int = 1) -> None:
        """Count the work of reading all that a value contains, so many times.

        Raises:
            TemplateError: The expansion takes too many steps.
        """
        if isinstance(value, list | dict):
            size = len(value)
            self.count(times * (size + size // 4 if size > FEW else size))
            for item in value if isinstance(value, list) else value.values():
                # Most items are short texts or numbers, which weigh nothing.
                if type(item) in _LEAVES and (type(item) is not str or len(item) <= LONG):
                    continue
                self.weigh_all(item, times)
        else:
            for _ in range(times):
                self.weigh(value)

    def member(self, container: Value, name: str) -> Value:
        """Return a member by name, in any case, and count the names compared.

        Raises:
            TemplateError: The expansion takes too many steps.
        """
        if not isinstance(container, dict) or len(container) <= FEW or name in container:
            return member(container, name)
        known = self.folds.get(id(container))
        if known is None:
            self.count(len(container) // 2)
            names: dict[str, str] = {}
            for each in container:
                names.setdefault(each.lower(), each)
            known = self.folds[id(container)] = (container, names)
        found = known[1].get(name.lower())
        return UNDEFINED if found is None else container[found]

    def at(self, data: Value, index: Value) -> Scope:
        """Return this scope with other data."""
        return Scope(
            self.root, data, index, self.host, self.missing, self.lenient, self.steps, self.folds,
            self.local,
        )  # fmt: skip

    def with_local(self, value: Value) -> Scope:
        """Return this scope with one more name of a lambda bound."""
        return Scope(
            self.root, self.data, self.index, self.host, self.missing, self.lenient, self.steps,
            self.folds, (*self.local, value),
        )  # fmt: skip


Step = tuple[str, int | None]
"""A part of a path, and its index if the value is a list."""

_SEPARATORS = re.compile(r"[.\[\]]+")
_MOST_DIGITS = 20
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)")


def parse_int(text: str) -> int | None:
    """Return the whole number that a text starts with (parseInt), if any."""
    match = _INTEGER.match(text)
    # No list is that long, and Python refuses to read thousands of digits.
    return None if match is None else int(match[1][:_MOST_DIGITS])


def steps_of(path: str) -> tuple[Step, ...]:
    """Split a.b[0]['c'] into its steps."""
    parts = [part for part in _SEPARATORS.split(path) if part]
    bare = [
        part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "'\"" else part
        for part in parts
    ]
    return tuple((part, parse_int(part)) for part in bare)


def follow(scope: Scope, value: Value, steps: tuple[Step, ...]) -> Value:
    """Return the value of a path, UNDEFINED if there is none."""
    for name, index in steps:
        if type(value) is dict:
            value = value[name] if name in value else scope.member(value, name)
        elif index is not None and isinstance(value, list):
            value = value[index] if 0 <= index < len(value) else UNDEFINED
        else:
            value = scope.member(value, name)
    return value


def look_up(scope: Scope, steps: tuple[Step, ...], names: tuple[str, ...]) -> Value:
    """Return the value of a path; `names` are bound, innermost last."""
    if not steps:
        return UNDEFINED
    first = steps[0][0].lower()
    for position in range(len(names) - 1, -1, -1):
        if names[position].lower() == first:
            found = follow(scope, scope.local[position], steps[1:])
            if found is not UNDEFINED:
                return found
    if not first.startswith("$"):
        return follow(scope, scope.data, steps)
    start = special_name(first)
    return UNDEFINED if start is None else follow(scope, start(scope), steps[1:])


def special_name(name: str) -> Callable[[Scope], Value] | None:
    """Return the reader of $root, $data, $index or $host, in any case."""
    return _SPECIAL.get(name.lower())


_SPECIAL: dict[str, Callable[[Scope], Value]] = {
    "$root": lambda scope: scope.root,
    "$data": lambda scope: scope.data,
    "$index": lambda scope: scope.index,
    "$host": lambda scope: scope.host,
    "$_actemplateversion": lambda _: VERSION,
}
