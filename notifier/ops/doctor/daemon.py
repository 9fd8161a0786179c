"""Check the daemon on this machine by its /readyz."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version

from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.telemetry.findings import Finding, by_cause, fault, ok, warning

NAME = "daemon"
_TIMEOUT_SECONDS = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 # nosec B104 - an address to connect to


async def check_daemon(config: Config, secrets: Secrets | None) -> list[Finding]:
    """Judge /readyz on admin.bind, and differences from this command.

    Args:
        config: Settings of this command.
        secrets: The secrets of this command; None when it cannot read them.
    """
    host, _, port = config.admin.bind.rpartition(":")
    if not config.admin.bind or port == "0":
        return [ok(NAME, "not asked: admin.bind names no port")]
    address = f"{_EVERYWHERE.get(host, host)}:{port}"
    reached = False
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(
                address.rpartition(":")[0].strip("[]"), int(port)
            )
            reached = True
            try:
                # HTTP/1.0: the answer ends with the connection.
                writer.write(f"GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                answer = await reader.read()
            finally:
                writer.close()
        state = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):  # TimeoutError is an OSError
        if reached:
            what = f"{address} does not answer as a daemon, or hangs"
            return [fault(NAME, what, "see which process listens there, or restart it")]
        what = f"no answer on {address}"
        fix = "start it: systemctl start notifier, or notifier run (another instance may have another admin.bind)"
        return [warning(NAME, what, fix)]
    return [*ready_findings(address, state), *differences(state, secrets)]


def differences(state: object, secrets: Secrets | None) -> list[Finding]:
    """Return findings about another version or other keys of the daemon."""
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


def _listed(ids: list[str]) -> str:
    return ", ".join(ids) or "(none)"


def ready_findings(address: str, state: object) -> list[Finding]:
    """Judge an answer of /readyz."""
    if not isinstance(state, dict) or not isinstance(state.get("parts"), dict):
        return [
            fault(NAME, f"{address} does not answer as a daemon of this version", "restart it")
        ]
    failing = by_cause((name, str(why)) for name, why in state["parts"].items() if why != "ok")
    warnings = by_cause((name, str(why)) for name, why in state.get("warnings", {}).items())
    if state.get("status") != "ready":
        return [
            fault(NAME, f"not ready: {why}", f"see its log, and http://{address}/readyz")
            for why in failing or ["Redis does not answer it"]
        ]
    found = [warning(NAME, why, "see its log") for why in warnings]
    return [ok(NAME, f"{state.get('instance', '')} on {address} is ready"), *found]
