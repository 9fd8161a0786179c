"""Collect the functions and operators that cards may use, by name."""

from __future__ import annotations

from collections.abc import Callable

from notifier.templating.functions import lists, money, numbers, text, times, timex, web
from notifier.templating.functions.regex import compile_pattern
from notifier.templating.values import Value

__all__ = ["FUNCTIONS", "compile_pattern"]

FUNCTIONS: dict[str, Callable[..., Value]] = {
    **text.FUNCTIONS,
    **numbers.FUNCTIONS,
    **lists.FUNCTIONS,
    **money.FUNCTIONS,
    **times.FUNCTIONS,
    **timex.FUNCTIONS,
    **web.FUNCTIONS,
}
