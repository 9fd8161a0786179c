"""The client of a request: address and name, also behind proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aiohttp import web

from notifier.events.action import MAX_WHO, clean_line

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Clients:
    """Reads addresses and names; believes headers of trusted proxies only."""

    def __init__(self, trusted_proxies: Sequence[Network], user_header: str) -> None:
        self._proxies = tuple(trusted_proxies)
        self._user_header = user_header

    def address(self, request: web.Request) -> str:
        """Return the client's address.

        Behind proxies it is the last one in X-Forwarded-For that is not a trusted proxy.
        """
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

    def limit_key(self, request: web.Request) -> str:
        """Return the key for limits: the address, or the /64 of an IPv6 address.

        Whoever has one address of a /64 has all of them.
        """
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
        """Return the name from single sign-on; None if it must be typed."""
        if not self._user_header or not self._trusted(request.remote or ""):
            return None
        names = request.headers.getall(self._user_header, [])
        # Two names: the proxy adds its header to the client's instead of replacing it.
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
    """Remove the client's port, which some proxies add."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
