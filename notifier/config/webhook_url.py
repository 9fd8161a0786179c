"""Check webhook URLs and the addresses behind them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from yarl import URL

_SPACE_OR_TRICK = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_DEFAULT_PORT = 443
_HTML_ENTITY = re.compile(r"&(?:amp|#0*38|#x0*26);", re.IGNORECASE)
_SIGNED_HOSTS = (".logic.azure.com", ".api.powerplatform.com", ".powerautomate.com", ".logic.azure.us", ".logic.azure.cn")  # fmt: skip
"""Hosts whose URLs have their own signature."""
_COPY_AGAIN = "copy it again from the Teams workflow"


def refuse_reason(
    url: str, *, allowed_hosts: Sequence[str], allow_loopback: bool
) -> str | None:
    """Return why a webhook URL may not be used, or None; never the URL.

    Args:
        url: The exact text that would be posted to.
        allowed_hosts: `name.example` or `*.name.example`, with `:port` for another port than 443.
        allow_loopback: Whether http and https to this machine are right, for tests.
    """
    parsed = None if _SPACE_OR_TRICK.search(url) else parse(url)
    if parsed is None:
        return f"is not a URL; {_COPY_AGAIN}"
    host = (parsed.raw_host or "").lower()
    if not host or parsed.scheme not in ("http", "https"):
        return f"is not an https URL; {_COPY_AGAIN}"
    if "@" in url.partition("//")[2].partition("/")[0]:
        return f"has a user name before its host; {_COPY_AGAIN}"
    if is_loopback(host):
        if allow_loopback:
            return None
        return (
            f"points to this machine ({host}); for a test set TEAMS_ALLOW_LOOPBACK_WEBHOOKS=1"
        )
    if parsed.scheme != "https":
        return f"is not https (host {_shown(host)}); {_COPY_AGAIN}"
    port = _DEFAULT_PORT if parsed.port is None else parsed.port
    return _host_fault(host, port, allowed_hosts)


def url_doubt(url: str) -> str | None:
    """Return why a webhook URL looks like a bad copy, or None."""
    if _HTML_ENTITY.search(url):
        return f"has &amp; in place of &, as in HTML; {_COPY_AGAIN}"
    parsed = parse(url)
    host = (parsed.raw_host or "").lower() if parsed is not None else ""
    if parsed is None or not host.endswith(_SIGNED_HOSTS):
        return None
    if any(parsed.query.getall("sig", ())):
        return None
    return f"has no sig= in its query, so Teams will refuse it with 401; {_COPY_AGAIN}, whole and in quotes"


def parse(url: str) -> URL | None:
    """Return the URL as it will be posted to; None when it is none."""
    try:
        parsed = URL(url, encoded=True)
        _ = parsed.port  # a bad port is noticed only when asked for
    except ValueError:
        return None
    return parsed


def forbidden_address(address: str, *, allow_loopback: bool) -> bool:
    """Tell whether an IP address is forbidden: only public ones are allowed.

    Addresses that carry another one (IPv4-mapped, 6to4, Teredo, NAT64) are judged by what they carry.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.is_site_local:
            return True
        if ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if allow_loopback and ip.is_loopback:
        return False
    return not ip.is_global or ip.is_multicast or ip.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: in IPv6-only networks every IPv4 host is reached through this prefix."""


def is_loopback(host: str) -> bool:
    """Tell whether a URL's host names this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_fault(host: str, port: int, allowed_hosts: Sequence[str]) -> str | None:
    if not _HOST_NAME.fullmatch(host):
        return f"has a host that is an address, or not a plain name; {_COPY_AGAIN}"
    named = [pattern for pattern in allowed_hosts if _matches(host, pattern)]
    if not named:
        return f"has host {_shown(host)}, which is not in http.allowed_hosts; if it is correct, add it there"
    if not any(_port(pattern) == port for pattern in named):
        return f"has port {port}; if it is correct, add {_shown(host)}:{port} to http.allowed_hosts"
    return None


def _matches(host: str, pattern: str) -> bool:
    name = pattern.lower().partition(":")[0]
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _port(pattern: str) -> int:
    return int(pattern.partition(":")[2] or _DEFAULT_PORT)


def _shown(host: str) -> str:
    return host if len(host) <= 100 else f"…{host[-100:]}"
