"""How each secret is called in each source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class VaultFolder(Enum):
    """The two places in Vault."""

    WEBHOOKS = "webhooks"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class SecretName:
    """One secret's names."""

    env: str
    """Environment variable; in lower case the credential's file name."""
    shelf: VaultFolder
    key: str
    """Its key in Vault, on that shelf."""

    @property
    def credential(self) -> str:
        """File name in $CREDENTIALS_DIRECTORY."""
        return self.env.lower()


HMAC_KEY = SecretName("TEAMS_HMAC_SECRET_KEY", VaultFolder.CONFIG, "hmac_secret")
PREVIOUS_HMAC_KEYS = SecretName(
    "TEAMS_HMAC_SECRET_KEY_PREVIOUS", VaultFolder.CONFIG, "hmac_secret_previous"
)
CALLBACK_TOKENS = SecretName(
    "TEAMS_OUTGOING_WEBHOOK_TOKEN", VaultFolder.CONFIG, "outgoing_webhook_token"
)
PRODUCER_KEYS = SecretName("TEAMS_PRODUCER_KEYS", VaultFolder.CONFIG, "producer_keys")
ADMIN_TOKEN = SecretName("TEAMS_ADMIN_TOKEN", VaultFolder.CONFIG, "admin_token")


def webhook_of(channel: str) -> SecretName:
    """Return the names of a channel's webhook URL."""
    return SecretName(f"TEAMS_WEBHOOK_{channel.upper()}", VaultFolder.WEBHOOKS, channel)


def known_names(channels: Iterable[str]) -> list[SecretName]:
    """Return every secret that these channels and the program itself may have."""
    own = [HMAC_KEY, PREVIOUS_HMAC_KEYS, CALLBACK_TOKENS, PRODUCER_KEYS, ADMIN_TOKEN]
    return [*own, *(webhook_of(channel) for channel in channels)]
