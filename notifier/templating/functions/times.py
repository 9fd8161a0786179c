"""Functions on dates, times and time zones."""

from __future__ import annotations

import json
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifier.templating.functions.arguments import given_text, numeric, whole
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
_ENGLISH = "en"
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


def _form(form: Value, locale: Value, default: str = DEFAULT_FORMAT) -> str:
    """Return the format to use.

    A locale changes nothing, but one that is not text makes the format void.
    """
    if not isinstance(form, str) or not isinstance(locale, str):
        return default
    if not locale:
        raise EvaluationError("needs a locale such as en-US")
    return form_of(form)


def _format_date_time(value: Value, form: Value = None, locale: Value = _ENGLISH) -> Value:
    return written(read_moment(given_text(value)), _form(form, locale))


def _format_epoch(value: Value, form: Value = None, locale: Value = _ENGLISH) -> Value:
    return written(_from_milliseconds(numeric(value) * 1000), _form(form, locale))


def _format_ticks(value: Value, form: Value = None, locale: Value = _ENGLISH) -> Value:
    if not (isinstance(value, str | Ticks) or is_number(value)):
        raise EvaluationError("needs a number of ticks")
    shown = value if isinstance(value, str) else number_text(cast("float", value))
    if not _WHOLE.fullmatch(shown):
        raise EvaluationError("needs a whole number of ticks")
    since = int(shown) - _TICKS_TO_EPOCH
    milliseconds = abs(since) // _TICKS_A_MILLISECOND * (1 if since >= 0 else -1)
    return written(_from_milliseconds(milliseconds), _form(form, locale))


def _ticks(value: Value) -> Value:
    return Ticks(_TICKS_TO_EPOCH + _milliseconds(exact_moment(value)) * _TICKS_A_MILLISECOND)


def _ticks_to(size: int) -> Callable[..., Value]:
    def convert(value: Value) -> Value:
        ticks = int(value) if isinstance(value, Ticks) else whole(value)
        return number(ticks / (size * 10_000_000))

    return convert


def _adder(component: str, unit: str) -> Callable[..., Value]:
    def add(value: Value, count: Value, form: Value = None, locale: Value = _ENGLISH) -> Value:
        given_text(value)
        amount, moment = numeric(count), exact_moment(value)
        now = cast("int", getattr(moment, component))
        try:
            moved = moment + timedelta(**{unit: int(now + amount) - now})
        except OverflowError:
            raise EvaluationError("is out of range") from None
        return written(moved, _form(form, locale))

    return add


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


def _add_to_time(
    value: Value, count: Value, unit: Value, form: Value = None, locale: Value = _ENGLISH
) -> Value:
    amount, name = whole(count), given_text(unit)
    return written(_shifted(exact_moment(value), amount, name), _form(form, locale))


def _subtract_from_time(
    value: Value, count: Value, unit: Value, form: Value = None, locale: Value = _ENGLISH
) -> Value:
    if given_text(unit) not in _UNITS:
        raise EvaluationError(f"needs a unit of {', '.join(sorted(_UNITS))}")
    return written(
        _shifted(exact_moment(value), -whole(count), given_text(unit)), _form(form, locale)
    )


def _start_of(**zero: int) -> Callable[..., Value]:
    def start(value: Value, form: Value = None, locale: Value = _ENGLISH) -> Value:
        moment = exact_moment(value).replace(minute=0, second=0, microsecond=0)
        if "hour" in zero:
            moment = moment.replace(hour=0)
        if "day" in zero:
            moment = moment.replace(day=1)
        return written(moment, _form(form, locale))

    return start


@lru_cache(maxsize=1)
def _windows_zones() -> dict[str, str]:
    path = Path(__file__).with_name("windows_zones.json")
    return cast("dict[str, str]", json.loads(path.read_text(encoding="utf-8")))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(_windows_zones().get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError("names no time zone") from None


def _convert_from_utc(
    value: Value, zone: Value, form: Value = None, locale: Value = _ENGLISH
) -> Value:
    moment, place = exact_moment(value), _zone(given_text(zone))
    return written(moment.astimezone(place), _form(form, locale, _ZONED_FORMAT))


def _convert_to_utc(
    value: Value, zone: Value, form: Value = None, locale: Value = _ENGLISH
) -> Value:
    place, moment = _zone(given_text(zone)), read_loosely(given_text(value))
    # The reference goes through a text without fractions of a second.
    local = moment.replace(microsecond=0, tzinfo=place)
    return written(local.astimezone(UTC), _form(form, locale))


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
    "formatDateTime": _format_date_time,
    "formatEpoch": _format_epoch,
    "formatTicks": _format_ticks,
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
    "addToTime": _add_to_time,
    "subtractFromTime": _subtract_from_time,
    "startOfDay": _start_of(hour=0),
    "startOfHour": _start_of(),
    "startOfMonth": _start_of(hour=0, day=1),
    "convertFromUTC": _convert_from_utc,
    "convertToUTC": _convert_to_utc,
    "dateTimeDiff": _date_time_diff,
    "getTimeOfDay": _time_of_day,
    "ticks": _ticks,
    "ticksToDays": _ticks_to(86_400),
    "ticksToHours": _ticks_to(3_600),
    "ticksToMinutes": _ticks_to(60),
    "isDateTime": _is_date_time,
}
