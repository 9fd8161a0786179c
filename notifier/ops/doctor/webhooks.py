"""Whether the server of each channel's webhook can be reached; nothing is posted, and no URL is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.config.webhook_url import url_doubt
from notifier.ops.doctor.webhook_reach import Endpoint, unreachable_reason
from notifier.telemetry.findings import Finding, fault, ok, warning

NAME = "webhooks"
_REACH_SECONDS = 6.0
_RETIRED = {
    ".logic.azure.com": "URLs on logic.azure.com were announced to end on 30 November 2025",
    ".webhook.office.com": "Office 365 connectors are retired",
}


async def check_webhooks(config: Config, secrets: Secrets) -> list[Finding]:
    """Return the findings; each server is connected to once, however many channels are on it."""
    endpoints = {
        channel: Endpoint.of(url.get_secret_value())
        for channel, url in secrets.webhooks.items()
    }
    if not endpoints:
        return [ok(NAME, "there are none to reach")]
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
    """Return which channels are on hosts that Microsoft takes away."""
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
    fix = "open the firewall for it, mend DNS, or set http.proxy; then: notifier doctor --send-test CHANNEL"
    return fault(NAME, f"{reason}: {names}", fix)
