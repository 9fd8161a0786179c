"""Secrets: webhook URLs and HMAC keys, from systemd credentials, Vault, or the environment, in this order."""

from notifier.config.secrets.load import (
    Secrets,
    SecretSource,
    State,
    load_secrets,
    signers,
    sources,
    survey_secrets,
)
from notifier.config.secrets.vanished import VanishedSecrets
from notifier.config.secrets.vault import VaultSource, open_vault

__all__ = [
    "SecretSource",
    "Secrets",
    "State",
    "VanishedSecrets",
    "VaultSource",
    "load_secrets",
    "open_vault",
    "signers",
    "sources",
    "survey_secrets",
]
