"""Check that each webhook's server can be reached; never show a URL."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from notifier.config import Config
from notifier.config.models import HttpSettings
from notifier.config.secrets import Secrets
from notifier.config.webhook_url import forbidden_address, is_loopback, parse, url_doubt
from notifier.telemetry.findings import Finding, fault, ok, warning

_DEFAULT_PORTS = {"https": 443, "http": 80}
NAME = "webhooks"
_REACH_SECONDS = 6.0
_RETIRED = {
    ".logic.azure.com": "URLs on logic.azure.com were announced to end on 30 November 2025",
    ".webhook.office.com": "Office 365 connectors are retired",
}


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A webhook's server, without the path, which is the credential."""

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
    """Return why a server cannot be reached, None if it can.

    With http.proxy only the proxy is reached: it looks the name up itself.
    """
    target = endpoint
    if settings.proxy:
        parts = urlsplit(settings.proxy)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        target = Endpoint(parts.hostname or "", port, parts.scheme == "https")
    who = f"the proxy {target.host}:{target.port}" if settings.proxy else target.host
    try:
        async with asyncio.timeout(seconds):
            return await _connected(target, settings)
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


async def _connected(target: Endpoint, settings: HttpSettings) -> str | None:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not settings.proxy:
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


async def check_webhooks(config: Config, secrets: Secrets) -> list[Finding]:
    """Check each server once, however many channels are on it."""
    endpoints = {
        channel: Endpoint.of(url.get_secret_value())
        for channel, url in secrets.webhooks.items()
    }
    if not endpoints:
        return [ok(NAME, "no webhook is set")]
    distinct = sorted(set(endpoints.values()))
    reasons = await asyncio.gather(
        *(unreachable_reason(each, config.http, seconds=_REACH_SECONDS) for each in distinct)
    )
    unreachable = dict(zip(distinct, reasons, strict=True))
    found = []
    for endpoint in distinct:
        channels = [name for name, each in endpoints.items() if each == endpoint]
        found.append(_reached(endpoint, channels, unreachable[endpoint], config.http.proxy))
    return [
        *found,
        *retired_findings(endpoints),
        *doubtful_findings(secrets),
        *shared_findings(secrets),
    ]


def retired_findings(endpoints: Mapping[str, Endpoint]) -> list[Finding]:
    """Return channels on hosts that Microsoft retires."""
    found = []
    for suffix, why in _RETIRED.items():
        channels = [name for name, each in endpoints.items() if each.host.endswith(suffix)]
        if channels:
            fix = "open each flow in Workflows, copy its new URL (…api.powerplatform.com) and set it"
            found.append(warning(NAME, f"{why}: {', '.join(channels)}", fix))
    return found


def doubtful_findings(secrets: Secrets) -> list[Finding]:
    """Return which channels have a URL that looks like a bad copy."""
    doubts = {name: url_doubt(url.get_secret_value()) for name, url in secrets.webhooks.items()}
    return [
        warning(NAME, f"the URL of {channel} {what}", fix)
        for channel, doubt in doubts.items()
        if doubt is not None
        for what, _, fix in [doubt.partition("; ")]
    ]


def shared_findings(secrets: Secrets) -> list[Finding]:
    """Return which channels have one URL between them."""
    by_url: dict[str, list[str]] = {}
    for channel, url in secrets.webhooks.items():
        by_url.setdefault(url.get_secret_value(), []).append(channel)
    return [
        warning(
            NAME,
            f"{', '.join(channels)} have the same URL: an event for several of them comes several times",
            "give each channel its own workflow",
        )
        for channels in by_url.values()
        if len(channels) > 1
    ]


def _reached(
    endpoint: Endpoint, channels: list[str], reason: str | None, proxy: str
) -> Finding:
    names = ", ".join(channels)
    if reason is None:
        through = " (the proxy answers; it looks the name up itself)" if proxy else ""
        return ok(NAME, f"{endpoint.host}:{endpoint.port} can be reached: {names}{through}")
    fix = "open the firewall for it, correct DNS, or set http.proxy; then: notifier doctor --send-test CHANNEL"
    return fault(NAME, f"{reason}: {names}", fix)
