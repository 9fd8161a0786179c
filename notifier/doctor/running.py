"""What the daemon on this machine says of itself."""

from __future__ import annotations

import aiohttp

from notifier.config import Config
from notifier.doctor.findings import Finding, fault, fine, warning

NAME = "daemon"
_SECONDS = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 # nosec B104 - where to look, not where to listen


async def look_at_daemon(config: Config) -> list[Finding]:
    """Return what /readyz on admin.bind says."""
    host, _, port = config.admin.bind.rpartition(":")
    if not config.admin.bind or port == "0":
        return [fine(NAME, "not asked: admin.bind names no port")]
    address = f"{_EVERYWHERE.get(host, host)}:{port}"
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{address}/readyz", allow_redirects=False) as answer,
        ):
            state = await answer.json()
            return ready_findings(address, state)
    except aiohttp.ClientConnectorError:
        what = f"none answers on {address}"
        fix = "start it: systemctl start notifier, or notifier run (another instance may have another admin.bind)"
        return [warning(NAME, what, fix)]
    except (aiohttp.ClientError, TimeoutError, ValueError):
        what = f"what answers on {address} is no daemon, or hangs"
        return [fault(NAME, what, "see which process listens there, or restart it")]


def ready_findings(address: str, state: object) -> list[Finding]:
    """Judge an answer of /readyz."""
    if not isinstance(state, dict) or not isinstance(state.get("parts"), dict):
        return [
            fault(NAME, f"what answers on {address} is no daemon of this version", "restart it")
        ]
    failing = [f"{part}: {why}" for part, why in state["parts"].items() if why != "ok"]
    warnings = [f"{part}: {why}" for part, why in state.get("warnings", {}).items()]
    if state.get("status") != "ready":
        return [
            fault(NAME, f"not ready: {why}", f"see its log, and http://{address}/readyz")
            for why in failing or ["Redis does not answer it"]
        ]
    found = [warning(NAME, why, "see its log") for why in warnings]
    return [fine(NAME, f"{state.get('instance', '')} on {address} is ready"), *found]
