"""Which channels fail: written by the processes that deliver, read by trace and doctor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError


class Failing(BaseModel):
    """A channel whose webhook does not accept posts."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    at: datetime
    """Time of the last attempt."""
    error: str
    status: int | None = None
    """HTTP status of the last attempt; None if none came back."""
    next_try: datetime | None = None
    """When the breaker lets the next post through; None if each post is tried at once."""


def failing_channels(written: Mapping[bytes, bytes]) -> dict[str, Failing]:
    """Return the failing channels of a stream's hash; an empty value is a channel that recovered."""
    found = {}
    for channel, text in written.items():
        try:
            found[channel.decode()] = Failing.model_validate_json(text)
        except (ValidationError, UnicodeDecodeError):
            continue
    return found


def described(failing: Failing) -> str:
    """Say since when a channel fails, with what, and when it is tried again; times in UTC."""
    next_try = f", next try {failing.next_try:%H:%M:%S}" if failing.next_try else ""
    return f"failing since {failing.since:%Y-%m-%d %H:%M} UTC, last {failing.error}{next_try}"
