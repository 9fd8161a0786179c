"""Secrets: webhook URLs and the HMAC key, from systemd credentials or else the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from notifier.config import Config
from notifier.errors import SecretsError
from notifier.teams.webhooks import refuse_reason

PLACEHOLDER = "placeholder"
"""Value of a webhook that is not configured yet."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must never be shown; SecretStr keeps it out of reprs and logs."""

    webhooks: Mapping[str, SecretStr]
    hmac_key: SecretStr | None


def load_secrets(config: Config, env: Mapping[str, str]) -> Secrets:
    """Read the secrets of the configured channels; a placeholder counts as absent.

    Raises:
        SecretsError: A webhook URL may not be used; names its variable and the fix, never the URL.
    """
    webhooks: dict[str, SecretStr] = {}
    for channel in config.channels:
        name = f"TEAMS_WEBHOOK_{channel.upper()}"
        url = _find(name, env)
        if not url or url == PLACEHOLDER:
            continue
        reason = refuse_reason(
            url,
            allowed_hosts=config.http.allowed_hosts,
            allow_loopback=config.http.allow_loopback_webhooks,
        )
        if reason:
            raise SecretsError(f"{name} {reason}")
        webhooks[channel] = SecretStr(url)
    key = _find("TEAMS_HMAC_SECRET_KEY", env)
    return Secrets(webhooks, SecretStr(key) if key and key != PLACEHOLDER else None)


def _find(name: str, env: Mapping[str, str]) -> str | None:
    folder = env.get("CREDENTIALS_DIRECTORY")
    if folder:
        try:
            return (Path(folder) / name.lower()).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError):
            raise SecretsError(
                f"credential {name.lower()} cannot be read; check LoadCredential in the unit"
            ) from None
    value = env.get(name)
    return value.strip() if value else None
