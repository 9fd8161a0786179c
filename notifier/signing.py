"""Signatures: posts for receivers, and action links that nobody else can make."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from notifier.errors import TokenError

ACTIONS = ("acknowledge", "escalate", "retry_task", "discard_task", "poll_nphies")
"""Action words; a token carries the position, so the order is fixed."""

_TOKEN = re.compile(
    r"([A-Za-z0-9_-]{8})\.([0-9a-f]{32})\.([0-4])\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})"
)


@dataclass(frozen=True, slots=True)
class ActionClaim:
    """What a valid action link allows."""

    notification_id: str
    action: str
    expires_at: int


def body_signature(secret: str, body: bytes) -> str:
    """Return X-HMAC-Signature: the hex HMAC-SHA256 of the exact body bytes, keyed with the secret's text."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def webhook_headers(
    secret: str, *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the Standard Webhooks headers (standardwebhooks.com); `timestamp` is Unix seconds."""
    signed = hmac.digest(
        _webhook_key(secret), f"{message_id}.{timestamp}.".encode() + body, "sha256"
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def key_id(secret: str) -> str:
    """Return a short name of a key that does not give it away."""
    return _encoded(hashlib.sha256(b"notifier key id\x00" + secret.encode()).digest()[:6])


def action_token(secret: str, *, notification_id: str, action: str, expires_at: int) -> str:
    """Sign one action on one notification until `expires_at` (Unix seconds); fits into a URL path.

    Raises:
        ValueError: The action is unknown.
    """
    claim = f"{key_id(secret)}.{notification_id.replace('-', '')}.{ACTIONS.index(action)}.{expires_at}"
    return f"{claim}.{_signature(secret, claim)}"


def verify_action_token(secrets: Sequence[str], token: str, *, now: int) -> ActionClaim:
    """Return what a token allows; any of `secrets` may have signed it, so that keys can change.

    Raises:
        TokenError: It was not made by us, was altered, or has expired.
    """
    match = _TOKEN.fullmatch(token)
    secret = next(
        (
            secret
            for secret in secrets
            if match and hmac.compare_digest(key_id(secret), match[1])
        ),
        None,
    )
    if match is None or secret is None:
        raise TokenError("this link is not valid; open it again from the card", expired=False)
    claim = token.rpartition(".")[0]
    if not hmac.compare_digest(_signature(secret, claim), match[5]):
        raise TokenError("this link is not valid; open it again from the card", expired=False)
    if now >= int(match[4]):
        raise TokenError(
            "this link has expired; act from a newer card or in the claims application",
            expired=True,
        )
    raw = match[2]
    notification_id = f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
    return ActionClaim(notification_id, ACTIONS[int(match[3])], int(match[4]))


def _webhook_key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def _signature(secret: str, claim: str) -> str:
    return _encoded(
        hmac.digest(secret.encode(), b"notifier action\x00" + claim.encode(), "sha256")
    )


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
