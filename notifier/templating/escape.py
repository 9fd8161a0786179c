"""Escape values from the data where a card shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache

from notifier.templating.codegen import FunctionSource
from notifier.templating.scope import LONG, Scope
from notifier.templating.values import Value

ANY_VALUE = "\ue001"
"""Marks a value of the data in the text around another value."""


class Omit(Enum):
    """The part of a card that is left out if a member has no value to show."""

    NOTHING = "nothing"
    MEMBER = "member"
    ELEMENT = "element"


@dataclass(frozen=True, slots=True)
class Escape:
    """How values from the data are escaped in one member of an element."""

    value: Callable[[Value], Value]
    """Escapes any value; with `whole_text` it may return DROP for a text that must not be shown."""
    whole_text: bool = False
    """Whether it is applied to the whole text, such as an address, and not to each value in it."""
    text: Callable[[str], str] | None = None
    """Does the same as `value` for a text, if the result is always a text; most values are texts."""
    is_harmless: Callable[[str], object] | None = None
    """Returns true only if `text` would not change a text; quick, since it runs in C."""
    when_empty: Omit = Omit.NOTHING
    """The part that is not shown if the member is empty or dropped."""
    inside_text: Callable[[str, str, str], Escape] | None = None
    """Returns the escape of a value within text, for the text before and after it and its expression."""
    finish: Callable[[str], str] | None = None
    """Changes the whole text at the end if its template writes a link."""

    def of(self, expression: str, before: str = "", after: str = "") -> Escape:
        """Return the escape of an expression's value between these texts."""
        if self.inside_text is None:
            return self
        return self.inside_text(before, after, expression)

    def of_text(self, name: str, source: FunctionSource) -> str | None:
        """Return the source that escapes a text of this name, if any."""
        if self.text is None:
            return None
        changed = f"{source.constant(counting(self.text))}(scope, {name})"
        if self.is_harmless is None:
            return changed
        return f"({name} if {source.constant(self.is_harmless)}({name}) else {changed})"


@cache
def counting(escape: Callable[[str], str]) -> Callable[[Scope, str], str]:
    """Return `escape` with its work counted, by length and added signs."""

    def counted(scope: Scope, text: str) -> str:
        cleaned = escape(text)
        if len(text) > LONG:
            scope.count(len(text) // 20 + 2 * abs(len(cleaned) - len(text)))
        return cleaned

    return counted
