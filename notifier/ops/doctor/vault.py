"""Whether Vault answers, is open, lets us in, and holds what we look for."""

from __future__ import annotations

from notifier.config.secrets import VaultSource
from notifier.telemetry.findings import Finding, ok, warning

NAME = "vault"


def vault_findings(vault: VaultSource) -> list[Finding]:
    """Judge what was read."""
    lease = (
        f", the token is good for {vault.token_seconds:.0f} s" if vault.token_seconds else ""
    )
    found = [ok(NAME, f"lets us in{lease}")]
    if vault.token_seconds and not vault.token_renewable:
        what = f"the token ends in {vault.token_seconds:.0f} s and cannot be renewed"
        found.append(warning(NAME, what, "give a periodic token, or use vault.auth = approle"))
    found += [
        warning(
            NAME,
            f"{where} holds nothing",
            "write the secrets there, or set vault.webhooks_path and vault.config_path",
        )
        for where in vault.empty_folders
    ]
    return found
