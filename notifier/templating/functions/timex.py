"""Type checks on TIMEX3 expressions, such as isDate('XXXX-12-24')."""

from __future__ import annotations

import re
from collections.abc import Callable

from notifier.templating.values import UNDEFINED, EvaluationError, Value, number_text

_DATES = [
    (r"\d{4}-\d\d-\d\d", "year month dayOfMonth"),
    (r"XXXX-WXX-\d", "dayOfWeek"),
    (r"XXXX-\d\d-\d\d", "month dayOfMonth"),
    (r"\d{4}", "year"),
    (r"\d{4}-\d\d", "year month"),
    (r"(?:SP|SU|FA|WI)", "season"),
    (r"\d{4}-(?:SP|SU|FA|WI)", "year season"),
    (r"\d{4}-W\d\d(?:-WE)?", "year weekOfYear"),
    (r"XXXX-\d\d", "month"),
    (r"XXXX-\d\d-W\d\d", "month weekOfMonth"),
    (r"XXXX-\d\d-WXX-\d-\d", "month weekOfMonth dayOfWeek"),
]
_TIMES = [
    (r"T\d\d(?::\d\d(?::\d\d)?)?", "hour minute second"),
    (r"T(?:DT|NI|MO|AF|EV)", "partOfDay"),
]
_PERIODS = [(r"P\d*\.?\d+[YMWD]", "duration"), (r"PT\d*\.?\d+[HMS]", "duration")]


def _parts(text: str) -> frozenset[str]:
    """Return the parts of a TIMEX3 expression: year, month, duration, …."""
    if text == "PRESENT_REF":
        return frozenset({"now"})
    if text.startswith("P"):
        return _matched(_PERIODS, text)
    if text.startswith("(") and text.endswith(")"):
        parts = text[1:-1].split(",")
        if len(parts) != 3:
            return frozenset()
        return _date_and_time(parts[0]) | _matched(_PERIODS, parts[2])
    return _date_and_time(text)


def _date_and_time(text: str) -> frozenset[str]:
    date, sign, time = text.partition("T")
    return _matched(_DATES, date) | _matched(_TIMES, sign + time)


def _matched(known: list[tuple[str, str]], text: str) -> frozenset[str]:
    for pattern, names in known:
        if re.fullmatch(pattern, text, re.ASCII):
            return frozenset(names.split())
    return frozenset()


_DURATIONS = frozenset({"years", "months", "weeks", "days", "hours", "minutes", "seconds"})


def _parts_of_members(value: object) -> frozenset[str]:
    """Return the parts that an object names, such as {year: 2026}."""
    if not isinstance(value, dict):
        return frozenset()
    parts = frozenset(key for key, each in value.items() if each is not UNDEFINED)
    return parts | {"duration"} if parts & _DURATIONS else parts - {"duration"}


def _check(test: Callable[[frozenset[str]], bool]) -> Callable[..., Value]:
    def check(value: Value) -> Value:
        if isinstance(value, str):
            return test(_parts(value))
        if isinstance(value, dict | list | bytes) and value:
            return test(_parts_of_members(value))
        raise EvaluationError("needs a TIMEX3 expression")

    return check


def _is_date_range(parts: frozenset[str]) -> bool:
    if parts & {"season", "weekOfYear", "weekOfMonth"}:
        return True
    return "dayOfMonth" not in parts and bool(parts & {"year", "month"})


_SECONDS = {"Y": 31_536_000, "M": 2_592_000, "W": 604_800, "D": 86_400}
_CLOCK_SECONDS = {"H": 3_600, "M": 60, "S": 1}


def _resolve(value: Value) -> Value:
    """Write a date, a time or a duration (in seconds) in full."""
    if not isinstance(value, str):
        raise EvaluationError("needs a TIMEX3 expression")
    duration = re.fullmatch(r"P(T?)(\d*\.?\d+)([YMWDHS])", value, re.ASCII)
    if duration is not None and _parts(value):
        sizes = _CLOCK_SECONDS if duration[1] else _SECONDS
        return number_text(float(duration[2]) * sizes[duration[3]])
    moment = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)?(?:T(\d\d)(?::(\d\d)(?::(\d\d))?)?)?", value, re.ASCII
    )
    if moment is not None and value:
        clock = ":".join([moment[2], moment[3] or "00", moment[4] or "00"]) if moment[2] else ""
        return " ".join(part for part in (moment[1], clock) if part)
    date = re.fullmatch(r"(\d{4}-\d\d-\d\d)T.*", value, re.ASCII | re.DOTALL)
    if date is not None and not _parts(value) & {"hour", "partOfDay"}:
        return date[1]
    if _parts(value) & {"year", "partOfDay"}:
        return UNDEFINED
    raise EvaluationError("is not a definite date, time or duration")


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "isDate": _check(lambda parts: {"month", "dayOfMonth"} <= parts or "dayOfWeek" in parts),
    "isTime": _check(lambda parts: "hour" in parts),
    "isDuration": _check(lambda parts: "duration" in parts),
    "isDateRange": _check(_is_date_range),
    "isTimeRange": _check(lambda parts: "partOfDay" in parts),
    "isDefinite": _check(lambda parts: {"year", "month", "dayOfMonth"} <= parts),
    "resolve": _resolve,
    "isPresent": _check(lambda parts: "now" in parts),
}

CHECKS = tuple(name for name in FUNCTIONS if name.startswith("is"))
