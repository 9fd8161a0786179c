"""Read secrets from HashiCorp Vault (KV v2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from notifier.config.models import VaultSettings
from notifier.config.secrets.sources import CredentialSource, SecretName, VaultFolder
from notifier.errors import SecretsError, VaultError

if TYPE_CHECKING:
    from notifier.config.secrets.vault_client import VaultClient

_LEASE_PART = 3
"""A token is renewed at the latest when a third of its lease has passed."""


Values = Mapping[VaultFolder, Mapping[str, SecretStr]]
"""Secrets by folder and key, as they were read at one time."""


class VaultSource:
    """Holds the values of the last refresh; only `refresh` waits."""

    def __init__(self, settings: VaultSettings, client: VaultClient) -> None:
        self._settings = settings
        self._client = client
        self._values: Values = {}

    def same_places(self, settings: VaultSettings) -> bool:
        """Tell whether these settings name the same secrets."""
        mine = self._settings
        return (mine.url, mine.namespace, mine.mount, mine.webhooks_path, mine.config_path) == (
            settings.url, settings.namespace, settings.mount, settings.webhooks_path, settings.config_path,
        )  # fmt: skip

    @property
    def next_refresh_seconds(self) -> float:
        """Return the seconds until the next refresh; the token is renewed in time."""
        lease = self._client.lease_seconds
        wanted = self._settings.refresh_seconds
        return max(1.0, min(wanted, lease / _LEASE_PART)) if lease else wanted

    @property
    def token_seconds(self) -> float:
        """Return the lease of the token in seconds; 0 if it does not expire."""
        return self._client.lease_seconds

    @property
    def token_renewable(self) -> bool:
        """Tell whether the token can be renewed or replaced by a login."""
        return self._settings.auth != "token" or self._client.renewable

    @property
    def keys(self) -> Mapping[VaultFolder, Sequence[str]]:
        """Return the keys of the last refresh, by folder."""
        return {folder: tuple(values) for folder, values in self._values.items()}

    @property
    def empty_folders(self) -> tuple[str, ...]:
        """Return the paths that were empty at the last refresh."""
        return tuple(
            self.where_folder(folder) for folder in VaultFolder if not self._values.get(folder)
        )

    def refresh(self) -> None:
        """Renew or log in, then read both paths; blocks: use a thread.

        After an error the earlier values stay.

        Raises:
            VaultError: Vault is away, sealed, or refuses; says what to do.
        """
        self._client.stay_logged_in()
        read = {
            VaultFolder.WEBHOOKS: self._client.read(self._settings.webhooks_path),
            VaultFolder.CONFIG: self._client.read(self._settings.config_path),
        }
        for folder, values in read.items():
            if values is None and self._values.get(folder):
                raise VaultError(
                    f"{self.where_folder(folder)} is gone; write it again, or `placeholder` for secrets that are not used"
                )
        self._values = {folder: values or {} for folder, values in read.items()}

    @property
    def values(self) -> Values:
        """Return the values of the last refresh, to restore them later."""
        return self._values

    def restore(self, values: Values) -> None:
        """Use earlier values again."""
        self._values = values

    def find(self, name: SecretName) -> str | None:
        """Return the value of the last refresh, None when there is none."""
        value = self._values.get(name.folder, {}).get(name.key)
        return None if value is None else value.get_secret_value().strip()

    def where(self, name: SecretName) -> str:
        """Return the place of a secret."""
        return f"{self.where_folder(name.folder)} key {name.key}"

    def where_folder(self, folder: VaultFolder) -> str:
        """Return the place of a folder."""
        webhooks = folder is VaultFolder.WEBHOOKS
        path = self._settings.webhooks_path if webhooks else self._settings.config_path
        return f"Vault {path}"


def open_vault(
    settings: VaultSettings, env: Mapping[str, str], *, clock: Callable[[], float]
) -> VaultSource | None:
    """Return the source, not read yet; None when Vault is off.

    Its own credentials are VAULT_TOKEN and VAULT_SECRET_ID, as systemd credentials (vault_token, vault_secret_id) or variables.

    Raises:
        SecretsError: A credential for the chosen auth method is missing.
    """
    if not settings.url:
        return None
    folder = env.get("CREDENTIALS_DIRECTORY")
    credentials = CredentialSource(Path(folder)) if folder else None

    def own(name: str) -> SecretStr:
        text = (credentials.read(name.lower()) if credentials else None) or env.get(name, "")
        if not text.strip():
            raise SecretsError(
                f'{name} is missing; vault.auth = "{settings.auth}" needs it as a variable or as the credential {name.lower()}'
            )
        return SecretStr(text.strip())

    # hvac takes a tenth of a second to import: only those with Vault wait for it.
    from notifier.config.secrets.vault_client import VaultClient

    client = VaultClient(
        settings,
        token=own("VAULT_TOKEN") if settings.auth == "token" else None,
        secret_id=own("VAULT_SECRET_ID") if settings.auth == "approle" else None,
        clock=clock,
    )
    return VaultSource(settings, client)
