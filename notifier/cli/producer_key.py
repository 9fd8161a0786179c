"""The key that `notifier publish` signs with, and whether the daemon will take what it signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from notifier.cli.options import CommandError
from notifier.config import Config
from notifier.config.secrets import secret_sources, signers, survey_secrets
from notifier.events.producer_signature import ProducerKey, key_bytes, parse_producer_key, sign

_ENV = "TEAMS_PRODUCER_KEY"


def signing_key(env: Mapping[str, str]) -> ProducerKey | None:
    """Return the key of TEAMS_PRODUCER_KEY, None when there is none; raises CommandError when it cannot be used."""
    text = env.get(_ENV)
    try:
        return parse_producer_key(text) if text else None
    except ValueError as exc:
        raise CommandError(f"{_ENV}: {exc}") from None


def signed(key: ProducerKey | None, fields: Mapping[str, str]) -> dict[str, str]:
    """Return an entry with its signature, as it is without a key."""
    return dict(fields) if key is None else sign(key.name, key_bytes(key), fields)


def signature_doubt(
    config: Config, key: ProducerKey | None, env: Mapping[str, str]
) -> str | None:
    """Return in words why what this key signs becomes a dead letter (unsigned), as far as this place knows the daemon's secrets."""
    if key is None:
        if not config.intake.require_signature:
            return None
        return (
            "it becomes a dead letter (unsigned): intake.require_signature is on and no key is given; "
            f"set {_ENV}=name:key to the key of a producer that the daemon knows"
        )
    if config.vault.url:
        # Vault may know other producers than the environment does; a producer need not reach it, nor wait for it.
        return None
    secrets, _ = survey_secrets(config, secret_sources(env, vault=None))
    if not secrets.producer_keys:
        return None
    entry = signed(key, {"event": "{}"})
    trusted = replace(signers(config, secrets), required=True)
    fault = trusted.fault({name.encode(): text.encode() for name, text in entry.items()})
    return fault and f"it becomes a dead letter (unsigned): {fault}"
