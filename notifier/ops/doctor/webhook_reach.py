"""Reach a webhook's server as a post would, up to TLS, without posting."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from notifier.config import HttpSettings
from notifier.config.webhook_url import forbidden_address, is_loopback, parse

_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a webhook's server is; nothing of its path, which is the credential."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Take it from a webhook URL that may be posted to."""
        parsed = parse(url)
        assert parsed is not None  # noqa: S101 - it was checked when it was read
        tls = parsed.scheme == "https"
        return cls(parsed.host or "", parsed.port or _DEFAULT_PORTS[parsed.scheme], tls)


async def unreachable_reason(
    endpoint: Endpoint, settings: HttpSettings, *, seconds: float
) -> str | None:
    """Return why a server cannot be reached: name, address, connection or certificate; None when it can.

    With http.proxy only the proxy is reached: it looks the name up itself.
    """
    target, address_matters = endpoint, True
    if settings.proxy:
        parts = urlsplit(settings.proxy)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        target = Endpoint(parts.hostname or "", port, parts.scheme == "https")
        address_matters = False
    who = f"the proxy {target.host}:{target.port}" if settings.proxy else target.host
    try:
        async with asyncio.timeout(seconds):
            return await _connected(target, settings, check_address=address_matters)
    except TimeoutError:
        return f"{who} does not answer within {seconds:g} s"
    except socket.gaierror:
        return f"the name {target.host} could not be resolved"
    except ssl.SSLCertVerificationError as exc:
        return f"the certificate of {who} is not trusted ({exc.verify_message})"
    except ssl.SSLError:
        return f"TLS with {who} failed"
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else type(exc).__name__
        return f"could not connect to {who}: {why}"


async def _connected(
    target: Endpoint, settings: HttpSettings, *, check_address: bool
) -> str | None:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if check_address:
        to_itself = settings.allow_loopback_webhooks and is_loopback(target.host)
        addresses = [
            address
            for address in addresses
            if not forbidden_address(address, allow_loopback=to_itself)
        ]
        if not addresses:
            return f"{target.host} leads to an address that is not public; see its DNS entry"
    context = await asyncio.to_thread(ssl.create_default_context) if target.tls else None
    failed: OSError | None = None
    for address in addresses:
        try:
            _, writer = await asyncio.open_connection(
                address,
                target.port,
                ssl=context,
                server_hostname=target.host if context else None,
            )
        except OSError as exc:
            failed = exc
            continue
        writer.transport.abort()
        return None
    raise failed or OSError("no address")
