"""Fixes for each answer that a workflow is known to give."""

from __future__ import annotations

_HINTS = {
    400: "the flow's trigger is disabled or of another kind: it must be 'When a Teams webhook request is received'; switch the flow on, or make it again from the Workflows template",
    401: "only signed-in users may trigger the flow: set 'Who can trigger the flow' to Anyone, then copy its URL again",
    403: "the signature in the URL is wrong or expired: copy the URL again from the flow; once in a while Teams says this in passing, so try again first",
    404: "the flow was deleted or switched off (automatically after 14 days of failures or 90 idle days): switch it on, or make a new one and set its URL",
    410: "the flow was deleted: make a new one and set its URL",
    413: "the card is too large for the flow: lower delivery.max_card_bytes",
    429: "too many posts: more than four a second, or the flow's own limits; lower rate_limit.requests",
}
_ACCEPTED = (
    "look into the channel: Teams does not say whether the flow then posted the card. If none appears within a minute, the flow's run history "
    "in Power Automate says why (its owner left, the connector is throttled, the card was refused)"
)
_PASSING = "Teams or the network has a passing trouble: try again in a minute"


def hint(status: int | None) -> str:
    """Return what a person may do after this status; None = no answer came."""
    if status is None:
        return "see that this machine may reach the host on this port (firewall, DNS), or set http.proxy"
    if 200 <= status < 300:
        return _ACCEPTED
    if status in _HINTS:
        return _HINTS[status]
    if status in (408, 425) or status >= 500:
        return _PASSING
    if 300 <= status < 400:
        return "it redirects, which is never followed: copy the URL again from the flow"
    return "copy the URL again from the flow"
