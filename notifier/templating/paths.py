"""Paths that begin at a local name, at $root and the like, or hold an index that only the data tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from notifier.templating.scope import (
    DataName,
    Scope,
    follow,
    look_up,
    parse_int,
    special,
    steps_of,
)
from notifier.templating.source import Evaluate
from notifier.templating.values import (
    UNDEFINED,
    AbortError,
    EvaluationError,
    NoResultError,
    Value,
    is_integer,
    is_nothing,
    to_text,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands."""

    names: tuple[str, ...] = ()
    """Names bound by the lambdas around it, innermost last."""
    condition: bool = False
    """In a condition a path without value is undefined; elsewhere the text `${path}` stands in."""


def joined(parts: list[str]) -> str:
    """Write the parts of a path as one, such as a.b[0]."""
    return "".join(parts).rstrip(".").replace(".[", "[")


def bracketed(value: Value, shown: str) -> str:
    """Write an index as part of a path; raises EvaluationError for what is neither number nor name."""
    text = "" if is_nothing(value) else to_text(value)
    if parse_int(text) is not None:
        return f"[{text}]."
    if isinstance(value, str):
        return f"['{value}']."
    raise EvaluationError(f"{shown} is neither an index nor a name")


def bracketing(index: Evaluate, shown: str) -> Evaluate:
    """Compile an index that only the data tell."""
    return lambda scope: bracketed(index(scope), shown)


def static_path(path: str, start: Evaluate | None, place: Place) -> Evaluate:
    """Compile a path that is known at load, from what `start` gives or from the data."""
    steps = steps_of(path)
    first = steps[0][0]
    find: Evaluate
    if start is not None:
        find = lambda scope: follow(scope, start(scope), steps)  # noqa: E731
    elif any(name.lower() == first.lower() for name in place.names):
        names = place.names
        find = lambda scope: look_up(scope, steps, names)  # noqa: E731
    else:
        base, rest = special(first), steps[1:]
        if base is None:
            find = lambda _: UNDEFINED  # noqa: E731
        else:
            find = lambda scope: follow(scope, base(scope), rest)  # noqa: E731
    if place.condition:
        return find

    def given(scope: Scope) -> Value:
        value = find(scope)
        return scope.missing(path) if value is UNDEFINED else value

    return given


def into_data(path: str, place: Place) -> bool:
    """Tell whether a path that is known at load begins in the data, not at a local name or at `$root` and the like."""
    steps = steps_of(path)
    first = steps[0][0].lower() if steps else "$"
    return not first.startswith("$") and all(name.lower() != first for name in place.names)


def dynamic_path(parts: list[str | Evaluate], start: Evaluate | None, place: Place) -> Evaluate:
    """Compile a path with an index in it that only the data tell."""
    names, condition = place.names, place.condition

    def find(scope: Scope) -> Value:
        path = joined(
            [part if isinstance(part, str) else cast("str", part(scope)) for part in parts]
        )
        steps = steps_of(path)
        value = (
            look_up(scope, steps, names)
            if start is None
            else follow(scope, start(scope), steps)
        )
        return scope.missing(DataName(path)) if value is UNDEFINED and not condition else value

    return find


def indexed(owner: Evaluate, index: Evaluate) -> Evaluate:
    """Compile what is indexed and no path, such as a list just made."""

    def at(scope: Scope) -> Value:
        try:
            container, key = owner(scope), index(scope)
        except NoResultError as exc:
            raise AbortError(str(exc)) from None
        except EvaluationError as exc:
            raise NoResultError(str(exc)) from None
        if isinstance(key, str):
            return scope.member(container, key)
        if not is_integer(key):
            raise EvaluationError("is indexed by neither a whole number nor a name")
        if is_nothing(container):
            return UNDEFINED
        position = int(cast("float", key))
        if isinstance(container, list) and 0 <= position < len(container):
            return cast("Value", container[position])
        raise EvaluationError(f"has no item {position}")

    return at
