"""Secrets: webhook URLs and the HMAC key, from systemd credentials or else the environment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from notifier.config import Config
from notifier.errors import SecretsError
from notifier.teams.webhooks import refuse_reason

PLACEHOLDER = "placeholder"
"""Value of a webhook that is not configured yet."""

_LEAST_TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must never be shown; SecretStr keeps it out of reprs and logs."""

    webhooks: Mapping[str, SecretStr]
    hmac_key: SecretStr | None
    callback_tokens: tuple[SecretStr, ...] = ()
    """Security tokens of the Teams outgoing webhooks and flows that may call back, as base64 text."""


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
    return Secrets(
        webhooks,
        SecretStr(key) if key and key != PLACEHOLDER else None,
        _callback_tokens(_find("TEAMS_OUTGOING_WEBHOOK_TOKEN", env)),
    )


def _callback_tokens(text: str | None) -> tuple[SecretStr, ...]:
    """Return the tokens of a list with spaces or commas between them: every outgoing webhook has its own."""
    tokens = [token for token in (text or "").replace(",", " ").split() if token != PLACEHOLDER]
    for token in tokens:
        try:
            usable = len(base64.b64decode(token, validate=True)) >= _LEAST_TOKEN_BYTES
        except binascii.Error:
            usable = False
        if not usable:
            raise SecretsError(
                "TEAMS_OUTGOING_WEBHOOK_TOKEN must hold the security tokens that Teams shows, base64 of 16 bytes or more; "
                "for a flow take `openssl rand -base64 32`"
            )
    return tuple(SecretStr(token) for token in tokens)


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
