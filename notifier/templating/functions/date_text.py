"""Read moments as Date.parse does, and write them as dayjs does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from notifier.templating.values import EvaluationError, Value

DEFAULT_FORMAT = "YYYY-MM-DDTHH:mm:ss.SSS[Z]"
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
_ZONE = r"(?P<zone>[Zz]|GMT|UTC|[+-]\d{2}:?\d{2})?"
_ISO = re.compile(
    rf"\s*(?P<year>\d{{4}})(?:-(?P<month>\d{{1,2}})(?:-(?P<day>\d{{1,2}}))?)?(?:[Tt ]{_CLOCK})?\s*{_ZONE}\s*"
)
_NAMED = r"(?P<name>[A-Za-z]{3})[a-z]*\.?"
_LOOSE = [
    re.compile(rf"\s*(?:[A-Za-z]{{3,9}},?\s+)?{pattern}(?:,?\s+{_CLOCK})?\s*{_ZONE}\s*")
    for pattern in (
        r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
        rf"{_NAMED}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})",
        rf"(?P<day>\d{{1,2}})\s+{_NAMED}\s+(?P<year>\d{{4}})",
    )
]


def read_moment(text: str) -> datetime:
    """Return the moment (UTC) of a text such as 2026-11-24T10:15:00Z.

    A text without a zone is in UTC.

    Raises:
        EvaluationError: The text is not a date.
    """
    for pattern in (_ISO, *_LOOSE):
        match = pattern.fullmatch(text)
        if match is not None:
            return _moment({name: part or "" for name, part in match.groupdict().items()})
    raise EvaluationError("is not a date and time such as 2026-11-24T10:15:00Z")


_LOOSEST = re.compile(
    r"(\d{4})[-/]?(\d{1,2})?[-/]?(\d{0,2})[Tt\s]*(\d{1,2})?:?(\d{1,2})?:?(\d{1,2})?[.:]?(\d+)?",
    re.ASCII,
)
"""Texts that dayjs reads itself, also if a number is out of range."""


def read_loosely(text: str) -> datetime:
    """Return the moment that a text means to dayjs.

    The 45th of a month is a day of the next month.

    Raises:
        EvaluationError: The text is not a date.
    """
    match = None if text.endswith(("Z", "z")) else _LOOSEST.fullmatch(text)
    if match is None:
        return read_moment(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    months = year * 12 + (month or 1) - 1
    try:
        return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC) + timedelta(
            days=(day or 1) - 1,
            hours=hour,
            minutes=minute,
            seconds=second,
            milliseconds=int((match[7] or "0")[:3]),
        )
    except (OverflowError, ValueError):
        raise EvaluationError("is out of range") from None


def _moment(parts: dict[str, str]) -> datetime:
    names = [month[:3].lower() for month in MONTHS]
    name = parts.get("name", "").lower()
    if name and name not in names:
        raise EvaluationError("names no month")
    month = names.index(name) + 1 if name else int(parts.get("month") or 1)
    day, hour = int(parts.get("day") or 1), int(parts.get("hour") or 0)
    minute, second = int(parts.get("minute") or 0), int(parts.get("second") or 0)
    if not (1 <= month <= 12 and 1 <= day <= 31 and minute < 60 and second < 60) or (
        hour > 24 or (hour == 24 and (minute or second))
    ):
        raise EvaluationError("has a part that is out of range")
    fraction = (parts.get("fraction") or "0").ljust(3, "0")[:3]
    try:
        start = datetime(int(parts["year"]), month, 1, tzinfo=UTC)
        return (
            start
            + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
            + timedelta(milliseconds=int(fraction))
            - _offset(parts.get("zone", ""))
        )
    except (OverflowError, ValueError):
        raise EvaluationError("is out of range") from None


def _offset(zone: str) -> timedelta:
    if not zone.startswith(("+", "-")):
        return timedelta()
    digits = zone[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if zone[0] == "-" else size


def exact_moment(value: Value) -> datetime:
    """Return the moment of a text in the form 2026-11-24T10:15:00.000Z.

    Most functions take only this form.

    Raises:
        EvaluationError: The text has another form.
    """
    if not isinstance(value, str):
        raise EvaluationError("needs text")
    moment = read_moment(value)
    if written(moment, DEFAULT_FORMAT) != value:
        raise EvaluationError(
            "needs a time with milliseconds, such as 2026-11-24T10:15:00.000Z"
        )
    return moment


_TOKEN = re.compile(
    r"\[([^\]]+)\]|YYYY|YY|M{1,4}|D{1,2}|d{1,4}|H{1,2}|h{1,2}|a|A|m{1,2}|s{1,2}|Z{1,2}|SSS"
)


def written(moment: datetime, form: str) -> str:
    """Write a moment by a format of dayjs, such as YYYY-MM-DD."""
    return _TOKEN.sub(lambda match: match[1] or _part(match[0], moment), form)


def _part(token: str, t: datetime) -> str:
    match token:
        case "YYYY" | "YY":
            return f"{t.year:04}"[-len(token) :]
        case "MMMM" | "MMM":
            return MONTHS[t.month - 1][: 3 if len(token) == 3 else None]
        case "dddd" | "ddd" | "dd":
            return DAYS[t.weekday()][: len(token) if len(token) < 4 else None]
        case "d":
            return str(t.isoweekday() % 7)
        case "A":
            return "AM" if t.hour < 12 else "PM"
        case "a":
            return "am" if t.hour < 12 else "pm"
        case "SSS":
            return f"{t.microsecond // 1000:03}"
        case "Z":
            return f"{t:%z}"[:3] + ":" + f"{t:%z}"[3:5]
        case _:
            return _number(token, t)


def _number(token: str, t: datetime) -> str:
    numbers = {
        "M": t.month, "D": t.day, "H": t.hour, "h": (t.hour + 11) % 12 + 1, "m": t.minute, "s": t.second,
    }  # fmt: skip
    if token[0] not in numbers:
        return f"{t:%z}"[:5]
    return str(numbers[token[0]]).rjust(len(token), "0")


_STANDARD = {"O": "YYYY-MM-DDTHH:mm:ss.SSS0000Z", "o": "YYYY-MM-DDTHH:mm:ss.SSS0000Z"}
_NET = re.compile(
    r"'([^']*)'|`([^`]*)`|\\(.)|d+|f+|F+|g+|h+|H+|K|m+|M+|s+|t+|y+|z+|%|(.)", re.DOTALL
)


def form_of(net: str) -> str:
    """Convert a .NET format, which cards use, to a dayjs format.

    One that it cannot turn is used as it is.
    """
    if not net:
        return DEFAULT_FORMAT
    if net in {"R", "r", "U", "u"}:
        return net
    text = _STANDARD.get(net, net)
    parts: list[str] = []
    at = 0
    while at < len(text):
        match = _NET.match(text, at)
        if match is None or (match[0][0] in "'`\\" and match.lastindex is None):
            return net
        part = _net_part(match)
        if part is None or match[4] in {"'", "`", "\\"}:
            return net
        parts.append(part)
        at = match.end()
    return "".join(parts)


def _net_part(match: re.Match[str]) -> str | None:
    for literal in (1, 2, 3, 4):
        if match[literal] is not None:
            return match[literal]
    letter = match[0][0]
    forms = _NET_FORMS.get(letter, (letter, letter * 2))
    return forms[min(len(match[0]), len(forms)) - 1]


_NET_FORMS: dict[str, tuple[str | None, ...]] = {
    "d": ("D", "DD", "ddd", "dddd"),
    **dict.fromkeys("fF", (None, None, "SSS")),
    "g": (None,),
    "y": ("YY", "YY", "YYYY"),
    "z": ("ZZ", "ZZ", "Z"),
    "t": ("A",),
    "K": ("Z",),
    "%": ("",),
    "M": ("M", "MM", "MMM", "MMMM"),
}
"""By .NET specifier: the dayjs form of one, two, three and more characters; None: there is none."""
