"""How text with expressions in it is written into a template's source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial

from notifier.templating.parts import Atom, May
from notifier.templating.scope import LONG, Scope
from notifier.templating.source import Source
from notifier.templating.values import (
    UNDEFINED,
    Drop,
    EvaluationError,
    NoResultError,
    Value,
    plain,
    to_text,
)

ANY_VALUE = "\ue001"
"""Stands for a value of the data in the text around another one."""


class Without(Enum):
    """What is left out when a member has no value that may be shown."""

    NOTHING = "nothing"
    MEMBER = "member"
    ELEMENT = "element"


@dataclass(frozen=True, slots=True)
class Clean:
    """How values from the data are made harmless where they are shown."""

    change: Callable[[Value], Value]
    """Returns what is shown; one that wants the whole text may return DROP, for its element must not be."""
    whole: bool = False
    """Whether it wants the whole text, as for an address, rather than each value in it."""
    text: Callable[[str], str] | None = None
    """What `change` does to text, where that is always text again: most values are."""
    harmless: Callable[[str], object] | None = None
    """Tells quickly, without a call of Python, of most text that `text` would leave it as it is."""
    without: Without = Without.NOTHING
    """What is not shown if the member comes out empty, or dropped."""
    within: Callable[[str, str, str], Clean] | None = None
    """Tells how a value within text is made harmless, from the text before and after it and from its expression."""
    finish: Callable[[str], str] | None = None
    """Has the last word on text whose template writes a link."""

    def of(self, piece: Piece, before: str = "", after: str = "") -> Clean:
        """Return how a piece of text is made harmless where it stands."""
        return self.within(before, after, piece.shown) if self.within is not None else self

    def of_text(self, name: str, source: Source) -> str | None:
        """Return the expression for what `change` does to text of this name; None where it is not always text."""
        if self.text is None:
            return None
        changed = f"{source.constant(_counting(self.text))}(scope, {name})"
        if self.harmless is None:
            return changed
        return f"({name} if {source.constant(self.harmless)}({name}) else {changed})"


@dataclass(frozen=True, slots=True)
class Piece:
    """Literal text, or an expression and what it looks like."""

    literal: Value
    write: Callable[[], str] | None = None
    """Writes the expression; returns its atom."""
    shown: str = ""
    indexing: bool = False


_FAILED = "except (EvaluationError, AbortError) as error"
_PLAIN_TYPES = frozenset({str, bool, type(None), Drop})
"""Types that are JSON as they are."""


def write_single(
    piece: Piece, path: str, clean: Clean | None, source: Source, *, shown: bool
) -> Atom:
    """Write the binding of a whole value, which keeps its type; one that is shown becomes JSON."""
    value, write = source.name(), piece.write
    assert write is not None  # noqa: S101 # nosec B101 - a lone literal is no binding
    clean = clean.of(piece) if clean is not None else None

    def attempt() -> None:
        source.add(f"{value} = {write()}")

    failed = source.constant(_failing(piece.shown, path))
    tried = source.attempt(attempt, (_FAILED, f"{value} = {failed}(scope, error)"))
    finish = source.constant(_finished if shown else _bound)
    changed = value
    if clean is not None:
        changed = f"{source.constant(_weighing(clean.change))}(scope, {value})"
    quick = None if clean is None else clean.of_text(value, source)
    with source.block("else" if tried else "if True"):
        if clean is not None and quick is None:
            source.add(f"{value} = {finish}(scope, {changed})")
        else:
            with source.block(f"if type({value}) is str"):
                if quick is not None:
                    source.add(f"{value} = {quick}")
                source.add(f"if len({value}) > {LONG}: scope.weigh({value})")
            with source.block("else"):
                source.add(f"{value} = {finish}(scope, {changed})")
    dropped = May.BE_DROPPED if clean is not None and clean.whole else May.BE_NOTHING_ELSE
    return Atom(value, May.BE_ANYTHING | May.BE_UNDEFINED | dropped)


def _failing(expression: str, path: str) -> Callable[[Scope, Exception], Value]:
    def failed(scope: Scope, error: Exception) -> Value:
        if scope.lenient:
            return scope.missing(expression)
        raise EvaluationError(f"{path}: {error}") from None

    return failed


def _bound(scope: Scope, value: Value) -> Value:
    if type(value) is str:
        scope.weigh(value)
    return value


def _finished(scope: Scope, value: Value) -> Value:
    if type(value) is str:
        scope.weigh(value)
        return value
    if type(value) in _PLAIN_TYPES or value is UNDEFINED:
        return value
    scope.weigh_all(value)
    return plain(value)


def write_interpolated(
    pieces: Sequence[Piece], path: str, clean: Clean | None, source: Source
) -> Atom:
    """Write text that has expressions in it."""
    written = [_literal(piece) for piece in pieces]
    atoms: list[str] = []
    for number, piece in enumerate(pieces):
        each = None
        if clean is not None:
            each = clean.of(piece, "".join(written[:number]), "".join(written[number + 1 :]))
            each = None if each.whole else each
        atoms.append(
            source.once(
                ("text", piece.shown, each), partial(_write_piece, piece, path, each, source)
            )
        )
    text = source.keep(
        f"{atoms[0]} + {atoms[1]}" if len(atoms) == 2 else f"''.join(({', '.join(atoms)},))"
    )
    if clean is not None and clean.finish is not None and "](" in "".join(written):
        source.add(f"{text} = {source.constant(_counting(clean.finish))}(scope, {text})")
    source.add(f"if len({text}) > {LONG}: scope.weigh({text})")
    if clean is None or not clean.whole:
        return Atom(text)
    source.add(f"{text} = {source.constant(_weighing(clean.change))}(scope, {text})")
    return Atom(text, May.BE_ANYTHING | May.BE_DROPPED)


def _literal(piece: Piece) -> str:
    """Return the text of a piece as far as the template writes it."""
    nothing = piece.literal is None or piece.literal is UNDEFINED
    return ANY_VALUE if piece.write is not None or nothing else to_text(piece.literal)


def _write_piece(piece: Piece, path: str, each: Clean | None, source: Source) -> str:
    nothing = piece.literal is None or piece.literal is UNDEFINED
    if piece.write is None and not nothing:
        return source.constant(to_text(piece.literal))
    value, write = source.name(), piece.write

    def attempt() -> None:
        source.add(f"{value} = {'None' if write is None else write()}")

    shown = source.constant(piece.shown)
    instead = f"missing({shown})"
    if piece.indexing:
        instead = f"{source.constant(_unless_no_result)}(scope, {shown}, error)"
    source.attempt(attempt, (_FAILED, f"{value} = {instead}"))
    other = f"{source.constant(_text_of(piece.shown, path, each))}(scope, {value})"
    quick = None if each is None else each.of_text(value, source)
    if quick is not None:
        as_text = f"{quick} if type({value}) is str else {other}"
    else:
        as_text = other if each else f"{value} if type({value}) is str else {other}"
    source.risks += 1
    source.add(f"{value} = {as_text}")
    return value


@cache
def _counting(clean: Callable[[str], str]) -> Callable[[Scope, str], str]:
    """Count the work of making a text harmless: what is long is gone through, and what is added was found one by one."""

    def counted(scope: Scope, text: str) -> str:
        cleaned = clean(text)
        if len(text) > LONG:
            scope.count(len(text) // 20 + 2 * abs(len(cleaned) - len(text)))
        return cleaned

    return counted


@cache
def _weighing(change: Callable[[Value], Value]) -> Callable[[Scope, Value], Value]:
    def weighed(scope: Scope, value: Value) -> Value:
        if isinstance(value, str):
            if len(value) > LONG:
                scope.count(len(value) // 20)
        elif isinstance(value, list | dict):
            # Writing it as JSON, or each text in it, takes about twice as long as to count it.
            scope.weigh_all(value, 2)
        changed = change(value)
        if isinstance(changed, str) and len(changed) > LONG:
            scope.count(len(changed) // 20)
        return changed

    return weighed


def _unless_no_result(scope: Scope, shown: str, error: Exception) -> Value:
    if isinstance(error, NoResultError) and not scope.lenient:
        raise error
    return scope.missing(shown)


def _text_of(shown: str, path: str, each: Clean | None) -> Callable[[Scope, Value], str]:
    def text_of(scope: Scope, value: Value) -> str:
        if value is None or value is UNDEFINED:
            if not scope.lenient:
                raise EvaluationError(f"{path}: {shown} is null, which text cannot show")
            value = scope.missing(shown)
        if each is not None:
            value = _weighing(each.change)(scope, value)
        if isinstance(value, list):
            scope.weigh_all(value)
        return value if isinstance(value, str) else to_text(value)

    return text_of
