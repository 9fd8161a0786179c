"""Who is at the other end of a request: address and name, behind trusted proxies or not."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from notifier.events.action import MAX_WHO, clean_line

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Clients:
    """Believes headers only from trusted proxies."""

    def __init__(self, trusted_proxies: Sequence[Network], user_header: str) -> None:
        self._proxies = tuple(trusted_proxies)
        self._user_header = user_header

    def address(self, request: web.Request) -> str:
        """Return the client's address: from the right of X-Forwarded-For the first that is no trusted proxy."""
        address = request.remote or ""
        if not self._trusted(address):
            return address
        for name in reversed(
            ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        ):
            if not name.strip():
                continue
            address = _without_port(name.strip())
            if not self._trusted(address):
                break
        return address[:64]

    def limited_by(self, request: web.Request) -> str:
        """Return what limits count by: the address, of IPv6 the /64, for whoever has one address there has them all."""
        text = self.address(request)
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return text
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))

    def user(self, request: web.Request) -> str | None:
        """Return the name that the single-sign-on proxy vouches for; None: it has to be typed."""
        if not self._user_header or not self._trusted(request.remote or ""):
            return None
        names = request.headers.getall(self._user_header, [])
        # Two names mean that the proxy adds its header beside the client's own instead of replacing it.
        return clean_line(names[0], MAX_WHO) or None if len(names) == 1 else None

    def _trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        # A listener on :: sees IPv4 clients under IPv6 addresses.
        plain = getattr(address, "ipv4_mapped", None) or address
        return any(plain in network for network in self._proxies)


def _without_port(text: str) -> str:
    """Some proxies write the client's port too, which is another one each time."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def comes_from_elsewhere(
    request: web.Request, hosts: Collection[str], *, null_is_ours: bool = False
) -> bool:
    """Tell whether a browser says that another site's page sent a form.

    Args:
        request: The form; both of its headers count.
        hosts: Our names beside the one that was asked.
        null_is_ours: The page of the form gives no referrer, so that browsers send null as its Origin.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    if origin is None or (origin == "null" and null_is_ours):
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    return parts.netloc.lower() != request.host.lower() and parts.hostname not in hosts
