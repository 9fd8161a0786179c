"""Find every secret in its sources, check it, and say of each where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import SecretStr

from notifier.config import Config, HttpSettings
from notifier.config.secrets.credentials import CredentialSource
from notifier.config.secrets.environment import EnvironmentSource
from notifier.config.secrets.names import (
    ADMIN_TOKEN,
    CALLBACK_TOKENS,
    HMAC_KEY,
    PREVIOUS_HMAC_KEYS,
    PRODUCER_KEYS,
    SecretName,
    webhook_of,
)
from notifier.config.secrets.tokens import admin_token, callback_tokens
from notifier.config.webhook_url import parse, refuse_reason, url_doubt
from notifier.errors import SecretsError
from notifier.events.producer_signature import ProducerKey, Signers, parse_producer_key
from notifier.events.signing import KeySet, key_fault, key_id

Result = TypeVar("Result")

PLACEHOLDER = "placeholder"
"""Value of a secret that is not configured yet, in any case; an empty one is the same."""


class SecretSource(Protocol):
    """Somewhere secrets come from; neither call waits for the network."""

    def find(self, name: SecretName) -> str | None:
        """Return the secret, None when it is not here; raises SecretsError when it cannot be read."""

    def where(self, name: SecretName) -> str:
        """Say where the secret stands or would stand, for people."""


class State(StrEnum):
    """Whether a secret can be used."""

    CONFIGURED = "configured"
    PLACEHOLDER = "placeholder"
    MISSING = "missing"
    UNUSABLE = "unusable"
    """It is set, but cannot be posted to."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """What may be told about a channel's webhook."""

    state: State
    where: str
    host: str = ""
    fault: str = ""
    """Why it is unusable and what to do, never with its value."""
    doubt: str = ""
    """What makes it look like a bad copy, though it is posted to."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must never be shown; SecretStr keeps it out of reprs and logs."""

    webhooks: Mapping[str, SecretStr]
    """URL by channel, of those that have one."""
    keys: KeySet | None
    found: Mapping[str, Webhook]
    """State by channel, of all."""
    warnings: tuple[str, ...] = ()
    callback_tokens: tuple[SecretStr, ...] = ()
    """Who may call back, as base64 text."""
    producer_keys: tuple[ProducerKey, ...] = ()
    """Who may sign events."""
    admin_token: SecretStr | None = None
    """What opens the console."""

    @property
    def webhook_faults(self) -> dict[str, str]:
        """Return what is wrong with webhooks that are set, by channel."""
        return {name: each.fault for name, each in self.found.items() if each.fault}


def sources(env: Mapping[str, str], vault: SecretSource | None) -> list[SecretSource]:
    """Return the sources in their order: credentials, Vault, environment."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    found: list[SecretSource] = [CredentialSource(Path(folder))] if folder else []
    if vault is not None:
        found.append(vault)
    return [*found, EnvironmentSource(env)]


def load_secrets(config: Config, places: Sequence[SecretSource]) -> Secrets:
    """Find the secrets of the configured channels; the first place that knows one wins.

    An unusable webhook concerns its channel alone: see `Secrets.webhook_faults`.

    Raises:
        SecretsError: Secrets cannot be used; names each with its place and fix, never its value.
    """
    secrets, faults = survey_secrets(config, places)
    if faults:
        raise SecretsError("\n".join(faults))
    return secrets


def survey_secrets(config: Config, places: Sequence[SecretSource]) -> tuple[Secrets, list[str]]:
    """Return what can be used, and what is wrong with secrets other than webhooks."""
    faults: list[str] = []
    webhooks: dict[str, SecretStr] = {}
    found: dict[str, Webhook] = {}
    for channel in config.channels:
        name = webhook_of(channel)
        try:
            where, url = find_secret(name, places)
            found[channel] = _webhook(where, url, name, places, config.http)
        except SecretsError as exc:
            found[channel] = Webhook(State.UNUSABLE, name.env, fault=str(exc))
            continue
        if url is not None and found[channel].state is State.CONFIGURED:
            webhooks[channel] = SecretStr(url)
    keys: KeySet | None = None
    warnings: tuple[str, ...] = ()
    try:
        keys, warnings = _keys(places)
    except SecretsError as exc:
        faults.append(str(exc))
    tokens = _checked(CALLBACK_TOKENS, places, callback_tokens, faults) or ()
    producers = _checked(PRODUCER_KEYS, places, _producer_keys, faults) or ()
    operators = _checked(ADMIN_TOKEN, places, admin_token, faults)
    faults += _missing_for_signatures(config, keys, producers) if not faults else []
    return Secrets(webhooks, keys, found, warnings, tokens, producers, operators), faults


def _checked(
    name: SecretName,
    places: Sequence[SecretSource],
    read: Callable[[str], Result],
    faults: list[str],
) -> Result | None:
    """Return a secret as `read` understands it, None when it is not configured; what is wrong goes to `faults`."""
    where = "a source"
    try:
        where, text = find_secret(name, places)
        return None if text is None or _is_placeholder(text) else read(text)
    except SecretsError as exc:
        faults.append(str(exc))
    except ValueError as exc:
        faults.append(f"{name.env}: {exc} (it comes from {where})")
    return None


def _producer_keys(listed: str) -> tuple[ProducerKey, ...]:
    return tuple(parse_producer_key(text) for text in listed.replace(",", " ").split())


def _missing_for_signatures(
    config: Config, keys: KeySet | None, producers: tuple[ProducerKey, ...]
) -> list[str]:
    if not config.intake.require_signature:
        return []
    missing = []
    if not producers:
        missing.append(
            f"intake.require_signature: no producer could publish; set {PRODUCER_KEYS.env} to name:key"
        )
    if keys is None:
        missing.append(
            f"intake.require_signature: escalations are signed too; set {HMAC_KEY.env} (make one with: notifier keys new)"
        )
    return missing


def signers(config: Config, secrets: Secrets) -> Signers:
    """Return whose events are taken under these settings."""
    return Signers(config.intake.require_signature, secrets.producer_keys, secrets.keys)


def find_secret(name: SecretName, places: Sequence[SecretSource]) -> tuple[str, str | None]:
    """Return where a secret stands and its value; None when no place knows it."""
    for place in places:
        value = place.find(name)
        if value is not None:
            return place.where(name), value
    return " or ".join(place.where(name) for place in places), None


def _webhook(
    where: str,
    url: str | None,
    name: SecretName,
    places: Sequence[SecretSource],
    http: HttpSettings,
) -> Webhook:
    if url is None:
        return Webhook(State.MISSING, where)
    if _is_placeholder(url):
        return Webhook(State.PLACEHOLDER, where)
    reason = refuse_reason(
        url, allowed_hosts=http.allowed_hosts, allow_loopback=http.allow_loopback_webhooks
    )
    if reason:
        raise SecretsError(f"{name.env} {reason} (it comes from {where})")
    parsed = parse(url)
    doubt = url_doubt(url)
    return Webhook(
        State.CONFIGURED,
        where,
        (parsed and parsed.host) or "",
        doubt=f"{name.env} {doubt} (it comes from {where})" if doubt else "",
    )


def _keys(places: Sequence[SecretSource]) -> tuple[KeySet | None, tuple[str, ...]]:
    where, current = find_secret(HMAC_KEY, places)
    where_previous, listed = find_secret(PREVIOUS_HMAC_KEYS, places)
    previous = [
        text
        for text in (listed or "").replace(",", " ").split()
        if not _is_placeholder(text) and text != current
    ]
    if current is None or _is_placeholder(current):
        if previous:
            raise SecretsError(
                f"{PREVIOUS_HMAC_KEYS.env} is set but {HMAC_KEY.env} is not; set it: notifier keys new"
            )
        return None, ()
    fault = key_fault(current)
    if fault:
        raise SecretsError(f"{HMAC_KEY.env} {fault} (it comes from {where})")
    warnings = tuple(
        f"{PREVIOUS_HMAC_KEYS.env}: key {key_id(text)} {fault}; take it out of {where_previous} "
        "as soon as no card needs it"
        for text in previous
        if (fault := key_fault(text))
    )
    keys = KeySet(
        SecretStr(current), tuple(SecretStr(text) for text in dict.fromkeys(previous))
    )
    return keys, warnings


def is_set(value: str | None) -> bool:
    """Tell whether a value is more than a placeholder."""
    return value is not None and not _is_placeholder(value)


def _is_placeholder(value: str) -> bool:
    return value.strip().lower() in ("", PLACEHOLDER)
