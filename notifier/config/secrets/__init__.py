"""Webhook URLs and keys from credentials, Vault or the environment.

The sources are asked in this order.
"""

from notifier.config.secrets.load import (
    Secrets,
    State,
    load_secrets,
    signers,
    survey_secrets,
)
from notifier.config.secrets.sources import SecretSource, VanishedSecrets, secret_sources
from notifier.config.secrets.vault import VaultSource, open_vault

__all__ = [
    "SecretSource",
    "Secrets",
    "State",
    "VanishedSecrets",
    "VaultSource",
    "load_secrets",
    "open_vault",
    "secret_sources",
    "signers",
    "survey_secrets",
]
