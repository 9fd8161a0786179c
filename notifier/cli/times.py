"""Times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

METAVAR = "AGO|TIME"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}
_FORMS = "give how long ago (90s, 30m, 2h, 3d, 1w), now, today, yesterday, or a time such as 2026-11-24, 2026-11-24T10:00 or 2026-11-24T13:00+03:00"


def moment(text: str, now: datetime | None = None) -> datetime:
    """Read a time; days begin in UTC, and so does a time that names no offset.

    Args:
        text: What was typed.
        now: What "ago" counts from; None = now.

    Raises:
        typer.BadParameter: It is none.
    """
    words = text.strip()
    now = now or datetime.now(UTC)
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


def require_order(since: datetime | None, until: datetime | None) -> None:
    """Raise typer.BadParameter unless --since is before --until; None = not given."""
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("must be before --until", param_hint="--since")
