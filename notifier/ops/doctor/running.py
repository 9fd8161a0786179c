"""What the daemon on this machine says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import aiohttp

from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.telemetry.findings import Finding, fault, ok, warning

NAME = "daemon"
_SECONDS = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 # nosec B104 - where to look, not where to listen


async def check_daemon(config: Config, secrets: Secrets | None) -> list[Finding]:
    """Return what /readyz on admin.bind says, and where it differs from this command.

    Args:
        config: Settings of this command.
        secrets: What this command finds; None when it cannot read them.
    """
    host, _, port = config.admin.bind.rpartition(":")
    if not config.admin.bind or port == "0":
        return [ok(NAME, "not asked: admin.bind names no port")]
    address = f"{_EVERYWHERE.get(host, host)}:{port}"
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{address}/readyz", allow_redirects=False) as answer,
        ):
            state = await answer.json()
            return [*ready_findings(address, state), *differences(state, secrets)]
    except aiohttp.ClientConnectorError:
        what = f"none answers on {address}"
        fix = "start it: systemctl start notifier, or notifier run (another instance may have another admin.bind)"
        return [warning(NAME, what, fix)]
    except (aiohttp.ClientError, TimeoutError, ValueError):
        what = f"what answers on {address} is no daemon, or hangs"
        return [fault(NAME, what, "see which process listens there, or restart it")]


def differences(state: object, secrets: Secrets | None) -> list[Finding]:
    """Return where a daemon runs with another version or other keys than this command."""
    if not isinstance(state, dict) or not isinstance(state.get("secrets"), dict):
        return []
    found = []
    here, there = version("notifier"), state.get("version")
    if there and there != here:
        what = f"the daemon is version {there}, this command {here}"
        found.append(warning(NAME, what, "restart the daemon: systemctl restart notifier"))
    keys = state["secrets"].get("key_ids")
    if secrets is None or keys is None:
        return found
    ours = list(secrets.keys.ids) if secrets.keys else []
    if keys != ours:
        found.append(
            warning(
                NAME,
                f"the daemon has the signing keys {_listed(keys)}, this command finds {_listed(ours)}",
                "reload the daemon, or restart it after changing a credential file or the environment",
            )
        )
    return found


def _by_cause(reasons: Mapping[str, object]) -> list[str]:
    """Name each cause once, however many parts it keeps from their work."""
    parts: dict[str, list[str]] = {}
    for part, why in reasons.items():
        parts.setdefault(str(why), []).append(part)
    return [f"{_parts(names)}: {why}" for why, names in parts.items()]


def _parts(names: list[str]) -> str:
    """Name the first of those that have one cause, and count the others."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _listed(ids: list[str]) -> str:
    return ", ".join(ids) or "(none)"


def ready_findings(address: str, state: object) -> list[Finding]:
    """Judge an answer of /readyz."""
    if not isinstance(state, dict) or not isinstance(state.get("parts"), dict):
        return [
            fault(NAME, f"what answers on {address} is no daemon of this version", "restart it")
        ]
    failing = _by_cause({part: why for part, why in state["parts"].items() if why != "ok"})
    warnings = _by_cause(state.get("warnings", {}))
    if state.get("status") != "ready":
        return [
            fault(NAME, f"not ready: {why}", f"see its log, and http://{address}/readyz")
            for why in failing or ["Redis does not answer it"]
        ]
    found = [warning(NAME, why, "see its log") for why in warnings]
    return [ok(NAME, f"{state.get('instance', '')} on {address} is ready"), *found]
