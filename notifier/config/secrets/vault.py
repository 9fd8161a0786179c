"""HashiCorp Vault: read webhooks and keys from KV v2, stay logged in, and go on with the last values when it is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from notifier.config import VaultSettings
from notifier.config.secrets.credentials import CredentialSource
from notifier.config.secrets.names import SecretName, VaultFolder
from notifier.errors import SecretsError, VaultError

if TYPE_CHECKING:
    from notifier.config.secrets.vault_client import VaultLogin

_LEASE_PART = 3
"""A token is renewed at the latest when a third of its lease has passed."""


@dataclass(frozen=True, slots=True)
class VaultValues:
    """Secrets by shelf and key, as they were read at one time."""

    by_shelf: Mapping[VaultFolder, Mapping[str, SecretStr]]


class VaultSource:
    """The values that were read last; `refresh` waits for the network, everything else does not."""

    def __init__(
        self, settings: VaultSettings, login: VaultLogin, *, clock: Callable[[], float]
    ) -> None:
        # hvac and what it brings take a tenth of a second to import: only who has a Vault waits for them.
        from notifier.config.secrets.vault_client import VaultClient

        self._settings = settings
        self._client = VaultClient(settings, login, clock=clock)
        self._values: dict[VaultFolder, Mapping[str, SecretStr]] = {}

    def same_places(self, settings: VaultSettings) -> bool:
        """Tell whether these settings lead to the same secrets, so that what was read may stand in for them."""
        mine = self._settings
        return (mine.url, mine.namespace, mine.mount, mine.webhooks_path, mine.config_path) == (
            settings.url, settings.namespace, settings.mount, settings.webhooks_path, settings.config_path,
        )  # fmt: skip

    @property
    def next_refresh_seconds(self) -> float:
        """Return how long to wait before the next refresh, so that the token is renewed in time."""
        lease = self._client.lease_seconds
        wanted = self._settings.refresh_seconds
        return max(1.0, min(wanted, lease / _LEASE_PART)) if lease else wanted

    @property
    def token_seconds(self) -> float:
        """Return for how long the token was given; 0 = it does not end, or there is none yet."""
        return self._client.lease_seconds

    @property
    def token_renewable(self) -> bool:
        """Tell whether the token lasts longer when it is renewed, or there will be a new one (AppRole, Kubernetes)."""
        return self._settings.auth != "token" or self._client.renewable

    @property
    def keys(self) -> Mapping[VaultFolder, Sequence[str]]:
        """Return the names of what was read last."""
        return {shelf: tuple(values) for shelf, values in self._values.items()}

    @property
    def empty_shelves(self) -> tuple[str, ...]:
        """Return the paths at which the last refresh found nothing."""
        return tuple(
            self.where_shelf(shelf) for shelf in VaultFolder if not self._values.get(shelf)
        )

    def refresh(self) -> None:
        """Renew or log in, then read both paths; on an error the values stay. Blocks: call it in a thread.

        Raises:
            VaultError: Vault is away, sealed, or refuses; says what to do.
        """
        self._client.stay_logged_in()
        read = {
            VaultFolder.WEBHOOKS: self._client.read(self._settings.webhooks_path),
            VaultFolder.CONFIG: self._client.read(self._settings.config_path),
        }
        for shelf, values in read.items():
            if values is None and self._values.get(shelf):
                raise VaultError(
                    f"{self.where_shelf(shelf)} is gone; write it again, or `placeholder` for what shall not be used"
                )
        self._values = {shelf: values or {} for shelf, values in read.items()}

    def read_values(self) -> VaultValues:
        """Return what was read last, to put it back if what comes next is not usable."""
        return VaultValues(dict(self._values))

    def put_back(self, values: VaultValues) -> None:
        """Go on with earlier values."""
        self._values = dict(values.by_shelf)

    def find(self, name: SecretName) -> str | None:
        """Return the value that was read last, None when there is none."""
        value = self._values.get(name.shelf, {}).get(name.key)
        return None if value is None else value.get_secret_value().strip()

    def where(self, name: SecretName) -> str:
        """Say where a secret stands or would stand."""
        return f"{self.where_shelf(name.shelf)} key {name.key}"

    def where_shelf(self, shelf: VaultFolder) -> str:
        """Say where a shelf is."""
        webhooks = shelf is VaultFolder.WEBHOOKS
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

    from notifier.config.secrets.vault_client import VaultLogin

    login = VaultLogin(
        token=own("VAULT_TOKEN") if settings.auth == "token" else None,
        secret_id=own("VAULT_SECRET_ID") if settings.auth == "approle" else None,
    )
    return VaultSource(settings, login, clock=clock)
