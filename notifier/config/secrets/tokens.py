"""Tokens of those who come to us: outgoing webhooks and flows that may call back, operators."""

from __future__ import annotations

import base64
import binascii

from pydantic import SecretStr

from notifier.config.secrets.names import ADMIN_TOKEN, CALLBACK_TOKENS
from notifier.errors import SecretsError
from notifier.events.signing import key_fault

_LEAST_TOKEN_BYTES = 16


def callback_tokens(text: str) -> tuple[SecretStr, ...]:
    """Return the tokens of a list with spaces or commas between them: every outgoing webhook has its own.

    Raises:
        SecretsError: One is not base64 of 16 bytes or more.
    """
    tokens = text.replace(",", " ").split()
    for token in tokens:
        try:
            usable = len(base64.b64decode(token, validate=True)) >= _LEAST_TOKEN_BYTES
        except binascii.Error:
            usable = False
        if not usable:
            raise SecretsError(
                f"{CALLBACK_TOKENS.env} must hold the security tokens that Teams shows, base64 of 16 bytes or more; "
                "for a flow take `openssl rand -base64 32`"
            )
    return tuple(SecretStr(token) for token in tokens)


def admin_token(text: str) -> SecretStr:
    """Return the token that opens the console; raises SecretsError when it could be guessed."""
    fault = key_fault(text)
    if fault:
        raise SecretsError(f"{ADMIN_TOKEN.env} {fault}")
    return SecretStr(text)
