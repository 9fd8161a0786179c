"""Times of events: of the id of an entry, and times in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_MOST_AHEAD = timedelta(minutes=5)
_FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_TIME = datetime(9999, 12, 30, tzinfo=UTC)


def ahead_of(time: datetime, now: datetime) -> timedelta | None:
    """Return by how much a time is ahead of `now`, None up to 5 minutes.

    More is usually a local time written as UTC, such as Riyadh's with a Z.
    """
    ahead = time - now
    return ahead if ahead > _MOST_AHEAD else None


def entry_time(entry_id: str) -> datetime:
    """Return the time in a stream entry's id.

    Redis XADD counts milliseconds since 1970.

    A producer may choose ids such as 1-1 or beyond the calendar; the event is still worth delivering.
    """
    try:
        since_1970 = timedelta(milliseconds=int(entry_id.partition("-")[0]))
    except ValueError:
        return _FIRST_TIME
    except OverflowError:
        return _LAST_TIME
    return _FIRST_TIME + min(since_1970, _LAST_TIME - _FIRST_TIME)
