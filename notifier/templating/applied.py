"""The functions as expressions call them: their work is counted, and what goes wrong says where."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

from notifier.events.numerals import SentNumber
from notifier.templating.functions import FUNCTIONS, times, timex
from notifier.templating.scope import FEW, LONG, Scope
from notifier.templating.values import EvaluationError, Value

_USUAL_STEPS = 3
_STEPS = {
    **dict.fromkeys(times.FUNCTIONS, 40),
    **dict.fromkeys(timex.FUNCTIONS, 40),
}
"""What a call takes, whatever it is given."""
_CHARACTERS = {
    **dict.fromkeys(("uriComponent", "uriComponentToString", "countWord", "titleCase"), 2),
    **dict.fromkeys((*times.FUNCTIONS, *timex.FUNCTIONS), 1),
    **dict.fromkeys(("replaceIgnoreCase", "binary", "dataUriToBinary", "base64ToBinary"), 1),
    **dict.fromkeys(("isMatch", "split", "json", "dataUriToString"), 5),
}  # fmt: skip
"""Characters that are a step for these."""
_USUAL_CHARACTERS = 50
_DEEP = frozenset(
    {
        "concat",
        "string",
        "jsonStringify",
        "join",
        "flatten",
        "sortBy",
        "sortByDescending",
        "merge",
        "+",
    }
)
"""These go through what is in lists and objects too."""
_AT_ONCE = frozenset(
    {"first", "last", "count", "createArray", "coalesce", "ignore", "if", "isArray", "isObject", "isString",
     "isBoolean", "isInteger", "isFloat", "bool", "float", "int"}
)  # fmt: skip
"""These look at no item."""


_SMALL = frozenset({int, float, bool, type(None), SentNumber})


def _applied(name: str, function: Callable[..., Value]) -> Callable[..., Value]:
    steps = _STEPS.get(name, _USUAL_STEPS)
    characters = _CHARACTERS.get(name, _USUAL_CHARACTERS)
    deep, at_once, sorts = name in _DEEP, name in _AT_ONCE, name.startswith("sortBy")

    def apply(scope: Scope, *values: Value) -> Value:
        scope.count(steps)
        for value in values:
            # By their very types: most values are neither long nor lists, and there are many calls.
            kind = type(value)
            if kind is str:
                if len(value) > LONG:  # type: ignore[arg-type]
                    scope.count(len(value) // characters)  # type: ignore[arg-type]
            elif (
                kind not in _SMALL
                and isinstance(value, list | dict)
                and len(value) > 1
                and not at_once
            ):
                if deep:
                    scope.weigh_all(value)
                if sorts:
                    scope.count(
                        int(len(value) * log2(len(value)) * (3 if len(values) > 1 else 0.2))
                    )
                scope.count(len(value) // 2)
        try:
            result = function(*values)
        except EvaluationError as exc:
            raise EvaluationError(f"{name}: {exc}").leaving(_LEFT.get(name)) from None
        except (TypeError, ValueError, OverflowError):
            raise EvaluationError(f"{name}: wrong kind of argument, or out of range") from None
        if isinstance(result, str):
            if len(result) > LONG:
                scope.count(len(result) // 20)
        elif isinstance(result, list | dict) and len(result) > FEW:
            scope.count(len(result) // 2)
        return result

    return apply


_LEFT: dict[str, Value] = {
    "indexOf": -1,
    "lastIndexOf": -1,
    **dict.fromkeys(timex.CHECKS, False),
}
"""What the reference leaves behind where these fail."""

APPLIED = {name: _applied(name, function) for name, function in FUNCTIONS.items()}
