"""The functions as expressions call them: their work is counted, and what goes wrong says where."""

from __future__ import annotations

from collections.abc import Callable

from notifier.templating.functions import FUNCTIONS, timex
from notifier.templating.scope import LONG, Scope
from notifier.templating.values import EvaluationError, Value


def _applied(name: str, function: Callable[..., Value]) -> Callable[..., Value]:
    def apply(scope: Scope, *values: Value) -> Value:
        for value in values:
            kind = type(value)
            if (kind is str or kind is list) and len(value) > LONG:  # type: ignore[arg-type]
                scope.weigh(value)
        try:
            result = function(*values)
        except EvaluationError as exc:
            raise EvaluationError(f"{name}: {exc}").leaving(_LEFT.get(name)) from None
        except (TypeError, ValueError, OverflowError):
            raise EvaluationError(f"{name}: wrong kind of argument, or out of range") from None
        kind = type(result)
        if (kind is str or kind is list) and len(result) > 100:  # type: ignore[arg-type]
            scope.count(len(result) // 10)  # type: ignore[arg-type]
        return result

    return apply


_LEFT: dict[str, Value] = {
    "indexOf": -1,
    "lastIndexOf": -1,
    **dict.fromkeys(timex.CHECKS, False),
}
"""What the reference leaves behind where these fail."""

APPLIED = {name: _applied(name, function) for name, function in FUNCTIONS.items()}
