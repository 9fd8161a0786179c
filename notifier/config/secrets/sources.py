"""Find secrets: in credentials, the environment, and after they vanished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from notifier.errors import SecretsError

PLACEHOLDER = "placeholder"
"""Value of a secret that is not configured yet, in any case; an empty one is the same."""

_MAX_BYTES = 65_536
_PREFIX = "teams_"
"""LoadCredential=teams:FOLDER puts it before the name of each file."""


class VaultFolder(Enum):
    """The two paths in Vault."""

    WEBHOOKS = "webhooks"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class SecretName:
    """The names of one secret in its sources."""

    env: str
    """Environment variable; in lower case the credential's file name."""
    folder: VaultFolder
    key: str
    """Its key in Vault, in that folder."""

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


def webhook_name(channel: str) -> SecretName:
    """Return the names of a channel's webhook URL."""
    return SecretName(f"TEAMS_WEBHOOK_{channel.upper()}", VaultFolder.WEBHOOKS, channel)


def known_names(channels: Iterable[str]) -> list[SecretName]:
    """Return every secret that these channels and the program itself may have."""
    own = [HMAC_KEY, PREVIOUS_HMAC_KEYS, CALLBACK_TOKENS, PRODUCER_KEYS, ADMIN_TOKEN]
    return [*own, *(webhook_name(channel) for channel in channels)]


def is_placeholder(value: str) -> bool:
    """Tell whether a value means that the secret is not configured yet."""
    return value.strip().lower() in ("", PLACEHOLDER)


class SecretSource(Protocol):
    """A source of secrets; neither method waits for the network."""

    def find(self, name: SecretName) -> str | None:
        """Return the secret or None; raises SecretsError if it is unreadable."""

    def where(self, name: SecretName) -> str:
        """Return the place of the secret, for people."""


def secret_sources(env: Mapping[str, str], vault: SecretSource | None) -> list[SecretSource]:
    """Return the sources in their order: credentials, Vault, environment."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    found: list[SecretSource] = [CredentialSource(Path(folder))] if folder else []
    if vault is not None:
        found.append(vault)
    return [*found, EnvironmentSource(env)]


def find_secret(name: SecretName, sources: Sequence[SecretSource]) -> tuple[str, str | None]:
    """Return the place and value of a secret, from the first source with it."""
    for source in sources:
        value = source.find(name)
        if value is not None:
            return source.where(name), value
    return " or ".join(source.where(name) for source in sources), None


class CredentialSource:
    """Reads systemd credentials, files in $CREDENTIALS_DIRECTORY.

    Each secret is read again, so that a reload sees changes.

    Names count with and without `teams_` before them. The folder of the operator has names without it (webhook_sre).
    A unit that loads the folder puts it before each name, also before one that has it already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: SecretName) -> str | None:
        """Return the secret or None; raises SecretsError if it is unreadable."""
        return self.read(name.credential)

    def read(self, file_name: str) -> str | None:
        """Return a credential's text without the last newline, or None."""
        bare = bare_name(file_name)
        for name in (_PREFIX + bare, bare, _PREFIX + _PREFIX + bare):
            text = self._text(name)
            if text is not None:
                return text
        return None

    def _text(self, file_name: str) -> str | None:
        try:
            with (self._folder / file_name).open(encoding="utf-8-sig") as file:
                return file.read(_MAX_BYTES).strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise SecretsError(
                f"credential {file_name} cannot be read; check LoadCredential in the unit"
            ) from None

    def where(self, name: SecretName) -> str:
        """Return the place of a secret."""
        return f"credential {bare_name(name.credential)} (a file; restart after a change)"


def bare_name(file_name: str) -> str:
    """Return a credential's name as an operator writes its file."""
    while file_name.startswith(_PREFIX):
        file_name = file_name.removeprefix(_PREFIX)
    return file_name


class EnvironmentSource:
    """Reads environment variables."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def find(self, name: SecretName) -> str | None:
        """Return the secret, None when the variable is not set."""
        value = self._env.get(name.env)
        return None if value is None else value.strip()

    def where(self, name: SecretName) -> str:
        """Return the place of a secret."""
        return f"environment {name.env}"


class VanishedSecrets:
    """Keeps the last values of vanished secrets, for a limited time.

    It comes before all other sources, so that a mistake loses no notification.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[SecretName, tuple[str, SecretStr]] = {}
        """Place and value of each."""
        self._gone_since: dict[SecretName, float] = {}
        self._keep_seconds = 0.0

    def check(
        self, channels: Iterable[str], sources: Sequence[SecretSource], *, keep_seconds: float
    ) -> None:
        """Note the secrets that the sources had before and do not have now."""
        self._keep_seconds = keep_seconds
        for name, where, value in _values(channels, sources):
            last = self._last.get(name)
            elsewhere = last is not None and last[0] != where
            missing = value is None or (elsewhere and is_placeholder(value))
            if last is not None and missing:
                self._gone_since.setdefault(name, self._clock())
            else:
                self._gone_since.pop(name, None)

    def remember(self, channels: Iterable[str], sources: Sequence[SecretSource]) -> None:
        """Note the values that the sources have now, once they have proved usable."""
        for name, where, value in _values(channels, sources):
            if value is not None and name not in self._gone_since:
                self._last[name] = (where, SecretStr(value))

    def find(self, name: SecretName) -> str | None:
        """Return the last value of a vanished secret; None if it is too old."""
        gone_since = self._gone_since.get(name)
        if gone_since is None or self._clock() - gone_since >= self._keep_seconds:
            return None
        return self._last[name][1].get_secret_value()

    def where(self, name: SecretName) -> str:
        """Return the last place of a secret."""
        known = self._last.get(name)
        return "nowhere else" if known is None else f"{known[0]} until it vanished"

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the places of vanished secrets whose last values are used."""
        return tuple(
            sorted(self._last[name][0] for name in self._gone_since if self.find(name))
        )


def _values(
    channels: Iterable[str], sources: Sequence[SecretSource]
) -> Iterator[tuple[SecretName, str, str | None]]:
    for name in (HMAC_KEY, *map(webhook_name, channels)):
        try:
            yield name, *find_secret(name, sources)
        except SecretsError:
            # It exists, and `load_secrets` reports the fault.
            continue
