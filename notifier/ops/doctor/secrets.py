"""Check Vault, secrets and their names, and names of settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from notifier.config import Config
from notifier.config.load import environment_names
from notifier.config.secrets import VaultSource
from notifier.config.secrets.sources import VaultFolder, bare_name, known_names
from notifier.telemetry.findings import Finding, fault_of, ok, warning

SECRETS = "secrets"
SETTINGS = "settings"
_OURS = "TEAMS_"
_WEBHOOK = "TEAMS_WEBHOOK_"
_CREDENTIALS = ("teams_", "webhook_")
_PRODUCERS = {"TEAMS_PRODUCER_KEY", "TEAMS_EVENTS_STREAM"}
"""Commands and the examples of producers read these, the daemon does not."""
_VAULTS = {"vault_token", "vault_secret_id"}
VAULT = "vault"


def name_findings(
    config: Config,
    *,
    variables: Iterable[str],
    credentials: Iterable[str],
    vault: Mapping[VaultFolder, Sequence[str]],
) -> list[Finding]:
    """Return the names in each place that belong to no secret."""
    known = known_names(config.channels)
    settings = set(environment_names())
    redis_files = {Path(config.redis.tls_key_file).name, Path(config.redis.tls_cert_file).name, Path(config.redis.tls_ca_file).name}  # fmt: skip
    places = [
        ("environment", {name for name in variables if name.startswith(_WEBHOOK)} - settings, {name.env for name in known}),
        ("credential", {bare_name(name) for name in set(credentials) - redis_files if name.startswith(_CREDENTIALS)} - _VAULTS, {bare_name(name.credential) for name in known}),
        *(
            (f"Vault ({folder.value}) key", set(keys), {name.key for name in known if name.folder is folder})
            for folder, keys in vault.items()
        ),
    ]  # fmt: skip
    return [
        warning(
            SECRETS,
            f"{place} {name} belongs to no channel and is not used",
            f"{_correction(name, right)}, add the channel under [channels], or remove the secret",
        )
        for place, found, right in places
        for name in sorted(found - right)
    ]


def unused_names(
    config: Config, env: Mapping[str, str], vault: Mapping[VaultFolder, Sequence[str]]
) -> list[Finding]:
    """Return every unknown name, in any place."""
    credentials = credentials_in(env.get("CREDENTIALS_DIRECTORY"))
    unused = name_findings(config, variables=env, credentials=credentials, vault=vault)
    return setting_findings(config, env) + unused


def check_settings(config: Config, env: Mapping[str, str]) -> list[Finding]:
    """Return faults in names of settings."""
    fine_ones = [ok(SETTINGS, "can be used, and every TEAMS_… variable belongs to one")]
    stop = [fault_of(SETTINGS, config.stop_fault)] if config.stop_fault else []
    return [*stop, *setting_findings(config, env)] or fine_ones


def setting_findings(config: Config, variables: Iterable[str]) -> list[Finding]:
    """Return unknown variables that look like settings, except webhooks."""
    known = {*environment_names(), *(name.env for name in known_names(config.channels))}
    unknown = {
        name
        for name in variables
        if name.startswith(_OURS) and not name.startswith(_WEBHOOK) and name not in _PRODUCERS
    } - known
    return [
        warning(
            SETTINGS,
            f"environment {name} is neither a setting nor a secret, and is not used",
            f"{_correction(name, known)} (all are in docs/reference/settings.md), or remove it",
        )
        for name in sorted(unknown)
    ]


def credentials_in(folder: str | None) -> list[str]:
    """Return the names of the files in $CREDENTIALS_DIRECTORY."""
    if not folder:
        return []
    try:
        return sorted(path.name for path in Path(folder).iterdir())
    except OSError:
        return []


def _correction(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, 1, cutoff=0.8)
    return f"write {near[0]}" if near else "correct the name"


def vault_findings(vault: VaultSource) -> list[Finding]:
    """Judge the state of Vault."""
    lease = (
        f", the token is good for {vault.token_seconds:.0f} s" if vault.token_seconds else ""
    )
    found = [ok(VAULT, f"accepts the login{lease}")]
    if vault.token_seconds and not vault.token_renewable:
        what = f"the token ends in {vault.token_seconds:.0f} s and cannot be renewed"
        found.append(warning(VAULT, what, "give a periodic token, or use vault.auth = approle"))
    found += [
        warning(
            VAULT,
            f"{where} holds nothing",
            "write the secrets there, or set vault.webhooks_path and vault.config_path",
        )
        for where in vault.empty_folders
    ]
    return found
