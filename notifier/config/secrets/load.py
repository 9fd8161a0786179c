"""Load every secret from its sources, and check it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from pydantic import SecretStr

from notifier.config import Config
from notifier.config.models import HttpSettings
from notifier.config.secrets.sources import (
    ADMIN_TOKEN,
    CALLBACK_TOKENS,
    HMAC_KEY,
    PREVIOUS_HMAC_KEYS,
    PRODUCER_KEYS,
    SecretName,
    SecretSource,
    find_secret,
    is_placeholder,
    webhook_name,
)
from notifier.config.webhook_url import parse, refuse_reason, url_doubt
from notifier.errors import SecretsError
from notifier.events.producer_signature import ProducerKey, Signers, parse_producer_key
from notifier.events.signing import KeySet, key_fault, key_id

Result = TypeVar("Result")

_LEAST_TOKEN_BYTES = 16


class State(StrEnum):
    """Whether a secret can be used."""

    CONFIGURED = "configured"
    PLACEHOLDER = "placeholder"
    MISSING = "missing"
    UNUSABLE = "unusable"
    """It is set, but cannot be posted to."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """The state of a channel's webhook, without its URL."""

    state: State
    where: str
    host: str = ""
    fault: str = ""
    """Why it is unusable and how to fix it, never with its value."""
    doubt: str = ""
    """Why it looks like a bad copy; it is posted to all the same."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """All secrets; SecretStr keeps their values out of reprs and logs."""

    webhooks: Mapping[str, SecretStr]
    """URL by channel; only usable ones."""
    keys: KeySet | None
    found: Mapping[str, Webhook]
    """State by channel; all channels."""
    warnings: tuple[str, ...] = ()
    callback_tokens: tuple[SecretStr, ...] = ()
    """Tokens of callbacks, as base64 text."""
    producer_keys: tuple[ProducerKey, ...] = ()
    """Keys of the producers that may sign events."""
    admin_token: SecretStr | None = None
    """The token that opens the console."""

    @property
    def webhook_faults(self) -> dict[str, str]:
        """Return the faults of webhooks that are set, by channel."""
        return {name: each.fault for name, each in self.found.items() if each.fault}


def load_secrets(config: Config, sources: Sequence[SecretSource]) -> Secrets:
    """Find the secrets of the channels; the first source that has one wins.

    An unusable webhook affects only its channel: see `Secrets.webhook_faults`.

    Raises:
        SecretsError: Secrets cannot be used; names each with its place and fix, never its value.
    """
    secrets, faults = survey_secrets(config, sources)
    if faults:
        raise SecretsError("\n".join(faults))
    return secrets


def survey_secrets(
    config: Config, sources: Sequence[SecretSource]
) -> tuple[Secrets, list[str]]:
    """Return the usable secrets, and the faults of all but webhooks."""
    faults: list[str] = []
    webhooks: dict[str, SecretStr] = {}
    found: dict[str, Webhook] = {}
    for channel in config.channels:
        name = webhook_name(channel)
        try:
            where, url = find_secret(name, sources)
            found[channel] = _webhook(where, url, name, sources, config.http)
        except SecretsError as exc:
            found[channel] = Webhook(State.UNUSABLE, name.env, fault=str(exc))
            continue
        if url is not None and found[channel].state is State.CONFIGURED:
            webhooks[channel] = SecretStr(url)
    keys: KeySet | None = None
    warnings: tuple[str, ...] = ()
    try:
        keys, warnings = _keys(sources)
    except SecretsError as exc:
        faults.append(str(exc))
    tokens = _checked(CALLBACK_TOKENS, sources, _callback_tokens, faults) or ()
    producers = _checked(PRODUCER_KEYS, sources, _producer_keys, faults) or ()
    operators = _checked(ADMIN_TOKEN, sources, _admin_token, faults)
    faults += _missing_for_signatures(config, keys, producers) if not faults else []
    return Secrets(webhooks, keys, found, warnings, tokens, producers, operators), faults


def _checked(
    name: SecretName,
    sources: Sequence[SecretSource],
    read: Callable[[str], Result],
    faults: list[str],
) -> Result | None:
    """Return a parsed secret, None without one; add its fault to `faults`."""
    where = "a source"
    try:
        where, text = find_secret(name, sources)
        return None if text is None or is_placeholder(text) else read(text)
    except SecretsError as exc:
        faults.append(str(exc))
    except ValueError as exc:
        faults.append(f"{name.env}: {exc} (from {where})")
    return None


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
    """Return the signers whose events are accepted."""
    return Signers(config.intake.require_signature, secrets.producer_keys, secrets.keys)


def _webhook(
    where: str,
    url: str | None,
    name: SecretName,
    sources: Sequence[SecretSource],
    http: HttpSettings,
) -> Webhook:
    if url is None:
        return Webhook(State.MISSING, where)
    if is_placeholder(url):
        return Webhook(State.PLACEHOLDER, where)
    reason = refuse_reason(
        url, allowed_hosts=http.allowed_hosts, allow_loopback=http.allow_loopback_webhooks
    )
    if reason:
        raise SecretsError(f"{name.env} {reason} (from {where})")
    parsed = parse(url)
    doubt = url_doubt(url)
    return Webhook(
        State.CONFIGURED,
        where,
        (parsed and parsed.host) or "",
        doubt=f"{name.env} {doubt} (from {where})" if doubt else "",
    )


def _keys(sources: Sequence[SecretSource]) -> tuple[KeySet | None, tuple[str, ...]]:
    where, current = find_secret(HMAC_KEY, sources)
    where_previous, listed = find_secret(PREVIOUS_HMAC_KEYS, sources)
    previous = [
        text for text in _listed(listed or "") if not is_placeholder(text) and text != current
    ]
    if current is None or is_placeholder(current):
        if previous:
            raise SecretsError(
                f"{PREVIOUS_HMAC_KEYS.env} is set but {HMAC_KEY.env} is not; set it: notifier keys new"
            )
        return None, ()
    fault = key_fault(current)
    if fault:
        raise SecretsError(f"{HMAC_KEY.env} {fault} (from {where})")
    warnings = tuple(
        f"{PREVIOUS_HMAC_KEYS.env}: key {key_id(text)} {fault}; remove it from {where_previous} "
        "as soon as no card needs it"
        for text in previous
        if (fault := key_fault(text))
    )
    keys = KeySet(
        SecretStr(current), tuple(SecretStr(text) for text in dict.fromkeys(previous))
    )
    return keys, warnings


def _callback_tokens(text: str) -> tuple[SecretStr, ...]:
    """Return the tokens of a list, one for each outgoing webhook.

    Raises:
        SecretsError: One is not base64 of 16 bytes or more.
    """
    tokens = _listed(text)
    for token in tokens:
        try:
            usable = len(base64.b64decode(token, validate=True)) >= _LEAST_TOKEN_BYTES
        except binascii.Error:
            usable = False
        if not usable:
            raise SecretsError(
                f"{CALLBACK_TOKENS.env} must hold the security tokens that Teams shows, base64 of 16 bytes or more; "
                "for a flow use `openssl rand -base64 32`"
            )
    return tuple(SecretStr(token) for token in tokens)


def _producer_keys(text: str) -> tuple[ProducerKey, ...]:
    return tuple(parse_producer_key(each) for each in _listed(text))


def _admin_token(text: str) -> SecretStr:
    fault = key_fault(text)
    if fault:
        raise SecretsError(f"{ADMIN_TOKEN.env} {fault}")
    return SecretStr(text)


def _listed(text: str) -> list[str]:
    """Split a list with spaces or commas between its words."""
    return text.replace(",", " ").split()
