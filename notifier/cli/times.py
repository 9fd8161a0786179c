"""Times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}
_FORMS = "give how long ago (90s, 30m, 2h, 3d, 1w), now, today, yesterday, or a time such as 2026-11-24, 2026-11-24T10:00 or 2026-11-24T13:00+03:00"


def moment(text: str, now: datetime) -> datetime:
    """Read a time; days begin in UTC, and so does a time that names no offset.

    Args:
        text: The typed text.
        now: The time from which "ago" counts.

    Raises:
        typer.BadParameter: It is not a time.
    """
    words = text.strip()
    ago = re.fullmatch(r"(\d{1,9})([smhdw])", words)
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if words in _DAYS:
            day = now.astimezone(UTC) - timedelta(days=_DAYS[words])
            return day.replace(hour=0, minute=0, second=0, microsecond=0)
        if words == "now":
            return now
        found = datetime.fromisoformat(words)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(_FORMS) from None


def period(
    since: str | None, until: str | None, now: datetime | None = None
) -> tuple[datetime | None, datetime | None]:
    """Read --since and --until; None leaves that end open.

    Raises:
        typer.BadParameter: A time is invalid, or the period is empty.
    """
    now = now or datetime.now(UTC)
    start, end = _given(since, now, "--since"), _given(until, now, "--until")
    if start is not None and end is not None and start >= end:
        raise typer.BadParameter(
            f"{since} ({_written(start)}) must be before --until {until} ({_written(end)})",
            param_hint="--since",
        )
    return start, end


def _given(text: str | None, now: datetime, option: str) -> datetime | None:
    try:
        return None if text is None else moment(text, now)
    except typer.BadParameter as exc:
        raise typer.BadParameter(exc.message, param_hint=option) from None


def _written(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"
