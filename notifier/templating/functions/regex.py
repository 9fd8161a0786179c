"""Run regular expressions with RE2, in linear time."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import cast

import re2

from notifier.templating.functions.arguments import MAX_TEXT
from notifier.templating.values import EvaluationError

_MAX_PATTERN = 1_000
_FLAG = re.compile(r"\(\?([ims])\)")
_REFERENCE = re.compile(r"\$(\$|&|`|'|[0-9]{1,2}|<[^>]*>)")


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, flags: str = "") -> re.Pattern[str]:
    """Compile a pattern as isMatch takes it.

    `(?i)`, `(?m)` and `(?s)` anywhere are flags of the whole pattern.

    Raises:
        EvaluationError: The pattern is empty, too long, or not one that RE2 can run.
    """
    if not pattern or len(pattern) > _MAX_PATTERN:
        raise EvaluationError(f"needs a pattern of 1 to {_MAX_PATTERN} characters")
    for flag in "ims":
        if f"(?{flag})" in pattern:
            flags += flag
            pattern = pattern.replace(f"(?{flag})", "", 1)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    prefix = f"(?{''.join(sorted(set(flags)))})" if flags else ""
    try:
        return cast("re.Pattern[str]", re2.compile(prefix + _translated(pattern), options))
    except re2.error as exc:
        raise EvaluationError(f"has a pattern that cannot be run: {_reason(exc)}") from None


def _reason(exc: Exception) -> str:
    [reason] = exc.args or ("",)
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def _translated(pattern: str) -> str:
    """Rewrite syntax that RE2 writes differently from ECMAScript."""
    return pattern.replace("(?<", "(?P<").replace(r"\/", "/").replace(r"\-", "\\x2d")


def replaced(pattern: re.Pattern[str], subject: str, replacement: str) -> str:
    """Replace all matches; `$1`, `$&` and `$$` mean as in String.replace."""
    size = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal size
        filled = _REFERENCE.sub(lambda found: _filled(found[1], match), replacement)
        size += len(filled)
        if size > MAX_TEXT:
            raise EvaluationError(f"makes more than {MAX_TEXT} characters")
        return filled

    return pattern.sub(fill, subject)


def _filled(reference: str, match: re.Match[str]) -> str:
    if reference == "$":
        return "$"
    if reference == "&":
        return match[0]
    if reference == "`":
        return match.string[: match.start()]
    if reference == "'":
        return match.string[match.end() :]
    if reference.isdigit() and 0 < int(reference) <= (match.re.groups or 0):
        return match[int(reference)] or ""
    return f"${reference}"
