"""Functions on dates, times and time zones."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifier.templating.functions.arguments import given_text, numeric, table, whole
from notifier.templating.functions.date_text import (
    DEFAULT_FORMAT,
    exact_moment,
    form_of,
    read_loosely,
    read_moment,
    written,
)
from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Ticks,
    Value,
    is_number,
    number,
    number_text,
)

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONED_FORMAT = "YYYY-MM-DDTHH:mm:ss.SSS0000"
_TICKS_TO_EPOCH = 621_355_968_000_000_000
_TICKS_A_MILLISECOND = 10_000


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _from_milliseconds(value: float) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=int(value))
    except OverflowError:
        raise EvaluationError("is out of range") from None


def _writing(
    moment_of: Callable[..., datetime], count: int = 1, default: str = DEFAULT_FORMAT
) -> Callable[..., Value]:
    """Return a function that writes the moment of its first `count` arguments.

    A format and a locale may follow them. A locale changes nothing, but one that is not text makes the format void.
    """

    def write(*arguments: Value) -> Value:
        moment, given = moment_of(*arguments[:count]), arguments[count:]
        if not all(isinstance(each, str) for each in given) or not given:
            return written(moment, default)
        if not given[-1] and len(given) > 1:
            raise EvaluationError("needs a locale such as en-US")
        return written(moment, form_of(cast("str", given[0])))

    return write


def _of_ticks(value: Value) -> datetime:
    if not (isinstance(value, str | Ticks) or is_number(value)):
        raise EvaluationError("needs a number of ticks")
    shown = value if isinstance(value, str) else number_text(cast("float", value))
    if not _WHOLE.fullmatch(shown):
        raise EvaluationError("needs a whole number of ticks")
    since = int(shown) - _TICKS_TO_EPOCH
    milliseconds = abs(since) // _TICKS_A_MILLISECOND * (1 if since >= 0 else -1)
    return _from_milliseconds(milliseconds)


def _ticks(value: Value) -> Value:
    return Ticks(_TICKS_TO_EPOCH + _milliseconds(exact_moment(value)) * _TICKS_A_MILLISECOND)


def _ticks_to(size: int) -> Callable[..., Value]:
    def convert(value: Value) -> Value:
        ticks = int(value) if isinstance(value, Ticks) else whole(value)
        return number(ticks / (size * 10_000_000))

    return convert


def _adder(component: str, unit: str) -> Callable[..., Value]:
    def add(value: Value, count: Value) -> datetime:
        given_text(value)
        amount, moment = numeric(count), exact_moment(value)
        now = cast("int", getattr(moment, component))
        try:
            return moment + timedelta(**{unit: int(now + amount) - now})
        except OverflowError:
            raise EvaluationError("is out of range") from None

    return _writing(add, 2)


def _shifted(moment: datetime, count: int, unit: str) -> datetime:
    try:
        if unit in {"Month", "Year"}:
            months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "Year" else 1)
            year, month = months // 12, months % 12 + 1
            day = min(moment.day, monthrange(year, month)[1])
            return moment.replace(year=year, month=month, day=day)
        sizes = {"Week": 604_800, "Day": 86_400, "Hour": 3_600, "Minute": 60, "Second": 1}
        return moment + timedelta(seconds=count * sizes.get(unit, 0.001))
    except (OverflowError, ValueError):
        raise EvaluationError("is out of range") from None


_UNITS = frozenset({"Month", "Year", "Week", "Day", "Hour", "Minute", "Second"})


def _add_to_time(value: Value, count: Value, unit: Value) -> datetime:
    amount, name = whole(count), given_text(unit)
    return _shifted(exact_moment(value), amount, name)


def _subtract_from_time(value: Value, count: Value, unit: Value) -> datetime:
    name = given_text(unit)
    if name not in _UNITS:
        raise EvaluationError(f"needs a unit of {', '.join(sorted(_UNITS))}")
    return _shifted(exact_moment(value), -whole(count), name)


def _start_of_hour(value: Value) -> datetime:
    return exact_moment(value).replace(minute=0, second=0, microsecond=0)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(str(table("windows_zones.json").get(name, name)))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError("names no time zone") from None


def _convert_to_utc(value: Value, zone: Value) -> datetime:
    place, moment = _zone(given_text(zone)), read_loosely(given_text(value))
    # The reference goes through a text without fractions of a second.
    return moment.replace(microsecond=0, tzinfo=place).astimezone(UTC)


def _date_time_diff(value: Value, other: Value) -> Value:
    apart = _milliseconds(exact_moment(value)) - _milliseconds(exact_moment(other))
    return number(apart * _TICKS_A_MILLISECOND)


def _time_of_day(value: Value) -> Value:
    moment = read_moment(given_text(value))
    if value not in (written(moment, DEFAULT_FORMAT), written(moment, _ZONED_FORMAT)):
        return UNDEFINED
    clock = moment.hour * 100 + moment.minute
    if clock in {0, 1200}:
        return "noon" if clock else "midnight"
    for end, name in ((1200, "morning"), (1800, "afternoon"), (2201, "evening")):
        if clock < end:
            return name
    return "night"


def _is_date_time(value: Value) -> Value:
    try:
        exact_moment(value)
    except EvaluationError:
        return False
    return True


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "formatDateTime": _writing(lambda value: read_moment(given_text(value))),
    "formatEpoch": _writing(lambda value: _from_milliseconds(numeric(value) * 1000)),
    "formatTicks": _writing(_of_ticks),
    "date": lambda value: written(exact_moment(value), "M/DD/YYYY"),
    "year": lambda value: exact_moment(value).year,
    "month": lambda value: exact_moment(value).month,
    "dayOfMonth": lambda value: exact_moment(value).day,
    "dayOfWeek": lambda value: exact_moment(value).isoweekday() % 7,
    "dayOfYear": lambda value: exact_moment(value).timetuple().tm_yday,
    "addDays": _adder("day", "days"),
    "addHours": _adder("hour", "hours"),
    "addMinutes": _adder("minute", "minutes"),
    "addSeconds": _adder("second", "seconds"),
    "addToTime": _writing(_add_to_time, 3),
    "subtractFromTime": _writing(_subtract_from_time, 3),
    "startOfDay": _writing(lambda value: _start_of_hour(value).replace(hour=0)),
    "startOfHour": _writing(_start_of_hour),
    "startOfMonth": _writing(lambda value: _start_of_hour(value).replace(hour=0, day=1)),
    "convertFromUTC": _writing(
        lambda value, zone: exact_moment(value).astimezone(_zone(given_text(zone))),
        2,
        _ZONED_FORMAT,
    ),
    "convertToUTC": _writing(_convert_to_utc, 2),
    "dateTimeDiff": _date_time_diff,
    "getTimeOfDay": _time_of_day,
    "ticks": _ticks,
    "ticksToDays": _ticks_to(86_400),
    "ticksToHours": _ticks_to(3_600),
    "ticksToMinutes": _ticks_to(60),
    "isDateTime": _is_date_time,
}
