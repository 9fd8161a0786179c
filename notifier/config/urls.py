"""Check the web addresses in the settings, and mask URLs for logs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_PROXY = re.compile(r"https?://[^/@\s]+(?::[0-9]{1,5})?/?")
_COLLECTOR = re.compile(r"https?://[^/@?#\s]+(?:/[^@?#\s]*)?")
_SCHEME = re.compile(r"rediss?|unix|postgres(ql)?|https?")
_HOSTS = re.compile(
    r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\],]*)(:\d*)?(,(\[[0-9A-Fa-f:.%]+\]|[^:\[\],]*)(:\d*)?)*"
)
"""Hosts with their ports, as libpq takes several."""


def check_web_url(url: str) -> str:
    """Return a base URL without its last slash; raises ValueError."""
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://, or be empty")
    try:
        usable = not url or (urlsplit(url).hostname and urlsplit(url).port != 0)
    except ValueError:  # its text may quote a part of the URL
        usable = False
    if not usable:
        raise ValueError(
            "must be an address such as https://name.example or https://name.example:8443/path"
        )
    return url.rstrip("/")


def check_proxy_url(url: str) -> str:
    """Return the URL of an HTTP proxy; raises ValueError."""
    if url and not _PROXY.fullmatch(url):
        raise ValueError('must be "http://host:port" without a user name, or empty')
    return url


def check_collector_url(url: str) -> str:
    """Return a collector's URL without its last slash; raises ValueError."""
    if url and not _COLLECTOR.fullmatch(url):
        raise ValueError(
            'must be "http://host:port" or "https://host:port", with a path if necessary and without a user name, or empty; '
            "put credentials into OTEL_EXPORTER_OTLP_HEADERS"
        )
    return url.rstrip("/")


def mask_url(url: str) -> str:
    """Return the URL without password and query; *** if it is malformed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    # If ":" or "@" is missing, or "/" or "#" is in the password, any part may be the password.
    cut = parts.fragment or "@" in parts.path or "@" in parts.query
    if cut or "//" in parts.path or not _HOSTS.fullmatch(host):
        return f"{parts.scheme}://***" if _SCHEME.fullmatch(parts.scheme) else "***"
    shown = f"{user}:***" if colon else "***"
    netloc = f"{shown}{at}{host}" if at else host
    return urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", ""))
