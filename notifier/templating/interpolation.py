"""Write texts with expressions in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from notifier.templating.codegen import FunctionSource
from notifier.templating.containers import DynamicNode, MayBe
from notifier.templating.escape import ANY_VALUE, Escape, counting
from notifier.templating.scope import LONG, Scope
from notifier.templating.values import (
    UNDEFINED,
    Drop,
    EvaluationError,
    NoResultError,
    Value,
    is_nothing,
    plain,
    to_text,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Literal text, or an expression and its text."""

    literal: Value
    write: Callable[[], str] | None = None
    """Writes the expression; returns its atom."""
    shown: str = ""
    indexing: bool = False


_FAILED = "except (EvaluationError, AbortError) as error"
_PLAIN_TYPES = frozenset({str, bool, type(None), Drop})
"""Types that are JSON as they are."""


def write_single(
    piece: Piece, path: str, escape: Escape | None, source: FunctionSource, *, shown: bool
) -> DynamicNode:
    """Write the binding of a whole value; a value that is shown is JSON."""
    value, write = source.new_name(), piece.write
    assert write is not None  # noqa: S101 # nosec B101 - a lone literal is not a binding
    escape = escape.of(piece.shown) if escape is not None else None

    def write_value() -> None:
        source.add(f"{value} = {write()}")

    failed = source.constant(_failing(piece.shown, path))
    tried = source.try_block(write_value, (_FAILED, f"{value} = {failed}(scope, error)"))
    finish = source.constant(_finished if shown else _bound)
    changed = value
    if escape is not None:
        changed = f"{source.constant(_weighing(escape.value))}(scope, {value})"
    quick = None if escape is None else escape.of_text(value, source)
    with source.block("else" if tried else "if True"):
        if escape is not None and quick is None:
            source.add(f"{value} = {finish}(scope, {changed})")
        else:
            with source.block(f"if type({value}) is str"):
                if quick is not None:
                    source.add(f"{value} = {quick}")
                source.add(f"if len({value}) > {LONG}: scope.weigh({value})")
            with source.block("else"):
                source.add(f"{value} = {finish}(scope, {changed})")
    dropped = MayBe.DROPPED if escape is not None and escape.whole_text else MayBe.NOTHING_ELSE
    return DynamicNode(value, MayBe.ANYTHING | MayBe.UNDEFINED | dropped)


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
    pieces: Sequence[Piece], path: str, escape: Escape | None, source: FunctionSource
) -> DynamicNode:
    """Write text that has expressions in it."""
    written = [_literal(piece) for piece in pieces]
    atoms: list[str] = []
    for number, piece in enumerate(pieces):
        each = None
        if escape is not None:
            each = escape.of(
                piece.shown, "".join(written[:number]), "".join(written[number + 1 :])
            )
            each = None if each.whole_text else each
        atoms.append(
            source.once(
                ("text", piece.shown, each), partial(_write_piece, piece, path, each, source)
            )
        )
    text = source.assign(
        f"{atoms[0]} + {atoms[1]}" if len(atoms) == 2 else f"''.join(({', '.join(atoms)},))"
    )
    if escape is not None and escape.finish is not None and "](" in "".join(written):
        source.add(f"{text} = {source.constant(counting(escape.finish))}(scope, {text})")
    source.add(f"if len({text}) > {LONG}: scope.weigh({text})")
    if escape is None or not escape.whole_text:
        return DynamicNode(text)
    source.add(f"{text} = {source.constant(_weighing(escape.value))}(scope, {text})")
    return DynamicNode(text, MayBe.ANYTHING | MayBe.DROPPED)


def _literal(piece: Piece) -> str:
    """Return the literal text of a piece, or the mark of a value."""
    value = piece.write is not None or is_nothing(piece.literal)
    return ANY_VALUE if value else to_text(piece.literal)


def _write_piece(piece: Piece, path: str, each: Escape | None, source: FunctionSource) -> str:
    if piece.write is None and not is_nothing(piece.literal):
        return source.constant(to_text(piece.literal))
    value, write = source.new_name(), piece.write

    def write_value() -> None:
        source.add(f"{value} = {'None' if write is None else write()}")

    shown = source.constant(piece.shown)
    instead = f"missing({shown})"
    if piece.indexing:
        instead = f"{source.constant(_unless_no_result)}(scope, {shown}, error)"
    source.try_block(write_value, (_FAILED, f"{value} = {instead}"))
    other = f"{source.constant(_text_of(piece.shown, path, each))}(scope, {value})"
    quick = None if each is None else each.of_text(value, source)
    if quick is not None:
        as_text = f"{quick} if type({value}) is str else {other}"
    else:
        as_text = other if each else f"{value} if type({value}) is str else {other}"
    source.may_raise_count += 1
    source.add(f"{value} = {as_text}")
    return value


@cache
def _weighing(change: Callable[[Value], Value]) -> Callable[[Scope, Value], Value]:
    def weighed(scope: Scope, value: Value) -> Value:
        if isinstance(value, str):
            if len(value) > LONG:
                scope.count(len(value) // 20)
        elif isinstance(value, list | dict):
            # Writing it as JSON takes about twice as long as counting it.
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


def _text_of(shown: str, path: str, each: Escape | None) -> Callable[[Scope, Value], str]:
    def text_of(scope: Scope, value: Value) -> str:
        if value is None or value is UNDEFINED:
            if not scope.lenient:
                raise EvaluationError(f"{path}: {shown} is null, which text cannot show")
            value = scope.missing(shown)
        if each is not None:
            value = _weighing(each.value)(scope, value)
        if isinstance(value, list):
            scope.weigh_all(value)
        return value if isinstance(value, str) else to_text(value)

    return text_of
