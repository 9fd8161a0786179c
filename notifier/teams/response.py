"""Classify the answer of a webhook, and say how to fix a failure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from notifier.events.outcome import Attempt

MAX_PAUSE_SECONDS = 3600.0
"""A longer Retry-After is cut to this: a mistaken header must not silence a channel for days."""

_FORBIDDEN_TRIES = 2
_UNSTATED_STATUS = 502
"""Status for a failure without one: the service behind the webhook failed."""
_RETRY_STATUSES = frozenset({408, 425, 429})
_DELIVERY_FAILED = re.compile(
    rb"(?:webhook message delivery failed|teams endpoint returned(?= http error))(?:[^<>{}]*?http (?:error|status(?: code)?):? (\d{3}))?",
    re.I,
)
"""How Teams words a failure behind its webhook, also in an HTTP 200 (atc0005/go-teams-notify, symfony/symfony)."""
_ERROR_CODE = re.compile(rb'"code"\s*:\s*"([A-Za-z0-9_.]{1,64})"')


def stated_status(status: int, body: bytes) -> int:
    """Return the status that counts.

    A failure in the text of an answer counts more than the answer's status.

    Teams answers 200 and writes "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429".
    """
    failed = _DELIVERY_FAILED.search(body) if status < 500 else None
    if failed is None:
        return status
    stated = int(failed[1] or 0)
    if 400 <= stated <= 599:
        return stated
    return status if status >= 400 else _UNSTATED_STATUS


def is_transient(attempt: Attempt) -> bool:
    """Return whether another attempt may succeed.

    A workflow's 403 is sometimes transient, so the first two are retried.
    """
    status = attempt.status_code
    return (
        status is None
        or status in _RETRY_STATUSES
        or status >= 500
        or (status == 403 and attempt.attempt <= _FORBIDDEN_TRIES)
    )


def misconfigured(status: int | None) -> bool:
    """Return whether a status means that the webhook itself is wrong.

    It was deleted, has expired, or does not accept our posts.
    """
    return status in (401, 403, 404, 410)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a usable Retry-After (RFC 9110 §10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_PAUSE_SECONDS)
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - now).total_seconds()
    except (ValueError, OverflowError, TypeError):
        # Years and zones have any number of digits here, and datetime has bounds.
        return None
    return min(max(0.0, seconds), MAX_PAUSE_SECONDS)


def fault(status: int, body: bytes) -> str:
    """Describe a refusal by its error code, without quoting the answer.

    The answer may repeat the card.
    """
    code = _ERROR_CODE.search(body)
    return f"HTTP {status} {code[1].decode()}" if code else f"HTTP {status}"


def retry_delay(
    attempt: int, *, asked: float | None, factor: float, max_seconds: float, jitter: float
) -> float:
    """Return the seconds to wait after failed attempt number `attempt`.

    Attempts 1, 2, 3 … give 1, 2, 4 … with factor 2.

    Args:
        attempt: Number of the attempt that failed, from 1.
        asked: Seconds from Retry-After, which are never undercut.
        factor: Growth from one wait to the next.
        max_seconds: Longest wait, except for `asked`.
        jitter: From 0 to 1; spreads the wait by up to a quarter so that processes do not retry in step.
    """
    try:
        wait = min(max_seconds, factor ** (attempt - 1) * (1 + 0.25 * jitter))
    except OverflowError:
        # A probe of a long outage comes to attempts whose power no float holds.
        wait = max_seconds
    return max(wait, asked) if asked is not None else wait


_HINTS = {
    400: "the flow's trigger is disabled or of another kind: it must be 'When a Teams webhook request is received'; switch the flow on, or make it again from the Workflows template",
    401: "only signed-in users may trigger the flow: set 'Who can trigger the flow' to Anyone, then copy its URL again",
    403: "the signature in the URL is wrong or has expired: copy the URL again from the flow; Teams sometimes answers so for a moment, so try again first",
    404: "the flow was deleted or switched off (automatically after 14 days of failures or 90 idle days): switch it on, or make a new one and set its URL",
    410: "the flow was deleted: make a new one and set its URL",
    413: "the card is too large for the flow: lower delivery.max_card_bytes",
    429: "too many posts: more than four a second, or the flow's own limits; lower rate_limit.requests",
}
_ACCEPTED = (
    "look at the channel: Teams does not say whether the flow then posted the card. If none appears within a minute, the flow's run history "
    "in Power Automate says why (its owner left, the connector is throttled, the card was refused)"
)
_PASSING = "Teams or the network has a temporary problem: try again in a minute"


def hint(status: int | None) -> str:
    """Return what a person may do after this status; None = no answer came."""
    if status is None:
        return "check that this machine can reach the host on this port (firewall, DNS), or set http.proxy"
    if 200 <= status < 300:
        return _ACCEPTED
    if status in _HINTS:
        return _HINTS[status]
    if status in (408, 425) or status >= 500:
        return _PASSING
    if 300 <= status < 400:
        return "it redirects, which is never followed: copy the URL again from the flow"
    return "copy the URL again from the flow"
