"""Write the Python source of one function of a template.

Closures would do the same, but a call for each node was most of the cost of rendering a card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from notifier.templating.scope import Scope, Step, follow
from notifier.templating.values import (
    DROP,
    UNDEFINED,
    AbortError,
    EvaluationError,
    Value,
)

Evaluate = Callable[[Scope], Value]

MAX_BLOCKS = 12
"""Nested blocks up to which a part stays in the same function: Python allows 20."""

_KNOWN: dict[str, object] = {
    "follow": follow,
    "DROP": DROP,
    "UNDEFINED": UNDEFINED,
    "CONTENTS": frozenset({list, dict}),
    "AbortError": AbortError,
    "EvaluationError": EvaluationError,
}
_WRITTEN_OUT = frozenset({str, bool, type(None)})
"""Types of constants written into the source; nothing else of a template gets into it."""

_LITERALS = frozenset({"None", "True", "False"})


class FunctionSource:
    """A function of a scope under construction.

    Every value is an *atom*: a name or a literal. Its expression is evaluated where it was written.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._globals = dict(_KNOWN)
        self._paths: dict[tuple[Step, ...], str] = {}
        self._temps = 0
        self._done: list[dict[object, str]] = [{}]
        """For each open block: the atoms of results computed in it."""
        self.blocks = 0
        self.may_raise_count = 0
        """The number of statements so far that may raise."""

    def add(self, statement: str) -> None:
        """Add a statement."""
        self._lines.append(f"{' ' * (self.blocks + 1)}{statement}")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add statements of the `with` body as a block, such as `if x`."""
        self.add(f"{head}:")
        self.blocks += 1
        self._done.append({})
        begin = len(self._lines)
        yield
        self._done.pop()
        if len(self._lines) == begin:
            self.add("pass")
        self.blocks -= 1

    def try_block(self, write: Callable[[], None], *handlers: tuple[str, str]) -> bool:
        """Add a try with handlers; returns False if nothing in it can raise."""
        may_raise_count, begin = self.may_raise_count, len(self._lines)
        with self.block("try"):
            write()
        if self.may_raise_count == may_raise_count:
            self._lines[begin:] = [line[1:] for line in self._lines[begin + 1 :]]
            return False
        for head, statement in handlers:
            with self.block(head):
                self.add(statement)
        return True

    def new_name(self) -> str:
        """Return an unused name."""
        self._temps += 1
        return f"t{self._temps}"

    def variable(self, atom: str) -> str:
        """Return a name for an atom: a literal cannot be compared with `is`."""
        return atom if atom.isidentifier() and atom not in _LITERALS else self.assign(atom)

    def assign(self, expression: str) -> str:
        """Assign the value of an expression to a new name, and return it."""
        name = self.new_name()
        self.add(f"{name} = {expression}")
        return name

    def constant(self, value: object) -> str:
        """Return the atom of a value known at load."""
        if type(value) in _WRITTEN_OUT:
            return repr(value)
        for name, known in self._globals.items():
            if known is value:
                return name
        name = f"k{len(self._globals)}"
        self._globals[name] = value
        return name

    def call(self, function: Callable[..., object], *atoms: str) -> str:
        """Call a function that may raise; returns the atom of its result."""
        self.may_raise_count += 1
        return self.assign(f"{self.constant(function)}({', '.join(atoms)})")

    def once(self, what: object, write: Callable[[], str]) -> str:
        """Return the atom of an earlier equal result, else write it."""
        for block in self._done:
            if what in block:
                return block[what]
        atom = self._done[-1][what] = write()
        return atom

    def path(self, steps: tuple[Step, ...]) -> str:
        """Return the atom of a path into the data, which is followed once."""
        name = self._paths.get(steps)
        if name is None:
            name = self._paths[steps] = f"p{len(self._paths)}"
        return name

    def function(self, result: str) -> Evaluate:
        """Compile it; returns the function, whose result is an atom."""
        lines = [
            "def expand(scope):",
            " missing = scope.missing",
            *self._follow_paths(),
            *self._lines,
            f" return {result}",
        ]
        code = compile("\n".join(lines), "<card template>", "exec")
        # The source contains nothing of a template except literals, written by repr.
        exec(code, self._globals)  # noqa: S102 # nosec B102
        return cast("Evaluate", self._globals["expand"])

    def _follow_paths(self) -> Iterator[str]:
        if self._paths:
            yield " data = scope.data"
        for number, first in enumerate(dict.fromkeys(steps[0] for steps in self._paths)):
            owner, name = f"o{number}", repr(first[0])
            rest = {steps[1:]: atom for steps, atom in self._paths.items() if steps[0] == first}
            yield (
                f" {owner} = data[{name}] if type(data) is dict and {name} in data "
                f"else follow(scope, data, {(first,)!r})"
            )
            if () in rest:
                yield f" {rest.pop(())} = {owner}"
            if not rest:
                continue
            yield f" if type({owner}) is dict:"
            for steps, atom in rest.items():
                key = repr(steps[0][0])
                yield f"  {atom} = {owner}[{key}] if {key} in {owner} else scope.member({owner}, {key})"
                if len(steps) > 1:
                    yield f"  {atom} = follow(scope, {atom}, {steps[1:]!r})"
            yield " else:"
            for steps, atom in rest.items():
                yield f"  {atom} = follow(scope, {owner}, {steps!r})"
