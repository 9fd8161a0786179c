"""Calls that are written out in place where their arguments are what they nearly always are; else the function is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from notifier.templating.applied import APPLIED
from notifier.templating.functions.numbers import EXACT_PLACES, decimals
from notifier.templating.scope import LONG
from notifier.templating.source import Source
from notifier.templating.syntax import Call, Constant


def _concat(call: Call, atoms: Sequence[str], source: Source) -> str:
    joined_slowly = f"{source.constant(APPLIED['concat'])}(scope, {', '.join(atoms)})"
    texts = [each.value for each in call.arguments if isinstance(each, Constant)]
    others = [
        atom
        for atom, each in zip(atoms, call.arguments, strict=True)
        if not isinstance(each, Constant)
    ]
    if len(others) != 1 or not texts or not all(type(text) is str for text in texts):
        return joined_slowly
    room = LONG - sum(len(str(text)) for text in texts)
    [other] = others
    # No longer than what counts as no work, so that nothing has to be counted.
    short = f"type({other}) is str and len({other}) <= {room}"
    return f"{' + '.join(atoms)} if {short} else {joined_slowly}"


def _format_number(call: Call, atoms: Sequence[str], source: Source) -> str:
    written_slowly = f"{source.constant(APPLIED['formatNumber'])}(scope, {', '.join(atoms)})"
    places = call.arguments[1]
    if len(atoms) > 2 or not (
        isinstance(places, Constant)
        and type(places.value) is int
        and 0 <= places.value <= EXACT_PLACES
    ):
        return written_slowly
    [amount, _] = atoms
    quick = f"{source.constant(decimals(places.value))}({amount})"
    usual = f"(type({amount}) is float or type({amount}) is int) and 0 <= {amount} < 1e15"
    return f"{quick} if {usual} else {written_slowly}"


SHORT_WAYS: dict[str, Callable[[Call, Sequence[str], Source], str]] = {
    "concat": _concat,
    "formatNumber": _format_number,
}
"""By function: each returns the expression, given the atoms of the arguments."""
