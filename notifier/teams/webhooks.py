"""Which webhook URLs may be posted to."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatchcase

from yarl import URL


def refuse_reason(
    url: str, *, allowed_hosts: Sequence[str], allow_loopback: bool
) -> str | None:
    """Return why a webhook URL may not be used, without the URL itself; None when it may."""
    try:
        parsed = URL(url)
    except ValueError:
        return "is not a URL; copy it again from the Teams workflow"
    host = parsed.host
    if not host or parsed.scheme not in ("http", "https"):
        return "is not an https URL; copy it again from the Teams workflow"
    if _loopback(host):
        if allow_loopback:
            return None
        return f"points to this machine ({host}); set TEAMS_ALLOW_LOOPBACK_WEBHOOKS=1 if that is meant"
    if parsed.scheme != "https":
        return f"is not https (host {host}); copy it again from the Teams workflow"
    if not any(fnmatchcase(host.lower(), pattern.lower()) for pattern in allowed_hosts):
        return (
            f"has host {host}, which is not in http.allowed_hosts; add it there if it is right"
        )
    return None


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
