"""Sign posts for receivers, and action links."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pydantic import SecretStr

from notifier.errors import TokenError

ACTIONS = ("acknowledge", "escalate", "retry_task", "discard_task", "poll_nphies")
"""Action words; a token carries the position, so the order is fixed."""

MIN_KEY_BYTES = 16
"""A shorter key could be guessed; 32 random bytes are usual."""

_KEYS_KNOWN = 16
"""Every post and link is signed with one of few keys: what follows from a key is worked out once."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
"""RFC 4648 §5, as base64.urlsafe_b64encode."""
_TOKEN = re.compile(
    r"([A-Za-z0-9_-]{8})\.([0-9a-f]{32})\.([0-4])\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})"
)

EVENT_PARAMETER = "e"
"""Query parameter of a link that holds its event mark."""
_EVENT_MARK = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{22})")


@dataclass(frozen=True, slots=True)
class ActionClaim:
    """The action that a valid link allows."""

    notification_id: str
    action: str
    expires_at: int
    event_key: str | None = None
    """Of the event that the link is about; links of earlier versions do not say."""


@dataclass(frozen=True)
class KeySet:
    """The HMAC keys in force: the first signs, all verify.

    So a key can change without breaking posted links.
    """

    current: SecretStr
    previous: tuple[SecretStr, ...] = ()

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Return the keys as they are written, the signing one first."""
        return (
            self.current.get_secret_value(),
            *(key.get_secret_value() for key in self.previous),
        )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Return the keys' names, which do not give them away, in the same order."""
        return tuple(key_id(text) for text in self.texts)


def key_fault(secret: str) -> str | None:
    """Return why a key may not be used, without the key, or None."""
    if secret.startswith("whsec_"):
        try:
            raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return "starts with whsec_ but is not base64 after it; make one with: notifier keys new"
    else:
        raw = secret.encode()
    if len(raw) < MIN_KEY_BYTES:
        return f"has {len(raw)} bytes, at least {MIN_KEY_BYTES} are needed; make one with: notifier keys new"
    if len(set(raw)) < 8:
        return "repeats a few characters and could be guessed; make one with: notifier keys new"
    return None


def written_key(raw: bytes, *, hexadecimal: bool = False) -> str:
    """Write a random key as whsec_ and base64, or as hexadecimal.

    The first form is that of Standard Webhooks.
    """
    return raw.hex() if hexadecimal else f"whsec_{base64.b64encode(raw).decode()}"


def body_signature(secret: str, body: bytes) -> str:
    """Return X-HMAC-Signature: the hex HMAC-SHA256 of the body bytes.

    Its key is the secret's text.
    """
    return hmac.digest(secret.encode(), body, "sha256").hex()


def webhook_headers(
    keys: KeySet, *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the Standard Webhooks headers, signed with every key.

    See standardwebhooks.com; `timestamp` is Unix seconds.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(_webhook_key(text), content, "sha256")).decode()
        for text in keys.texts
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


@lru_cache(maxsize=_KEYS_KNOWN)
def key_id(secret: str) -> str:
    """Return a short name of a key that does not give it away."""
    return _encoded(hashlib.sha256(b"notifier key id\x00" + secret.encode()).digest()[:6])


def action_token(secret: str, *, notification_id: str, action: str, expires_at: int) -> str:
    """Sign one action on one notification until `expires_at`.

    The token fits into a URL path; `expires_at` is Unix seconds.

    Raises:
        ValueError: The action is unknown.
    """
    claim = f"{key_id(secret)}.{notification_id.replace('-', '')}.{ACTIONS.index(action)}.{expires_at}"
    return f"{claim}.{_signature(secret, claim)}"


def verify_action_token(secrets: Sequence[str], token: str, *, now: int) -> ActionClaim:
    """Return the action that a token allows.

    Any of `secrets` may have signed it, so that keys can change.

    Raises:
        TokenError: It was not made by us, was altered, or has expired.
    """
    match = _TOKEN.fullmatch(token)
    named = (
        secret for secret in secrets if match and hmac.compare_digest(key_id(secret), match[1])
    )
    secret = next(named, None)
    claim = token.rpartition(".")[0]
    if (
        match is None
        or secret is None
        or not hmac.compare_digest(_signature(secret, claim), match[5])
    ):
        raise TokenError("this link is not valid; open it again from the card", expired=False)
    if now >= int(match[4]):
        raise TokenError(
            "this link has expired; act from a newer card or in the claims application",
            expired=True,
        )
    return ActionClaim(_dashed(match[2]), ACTIONS[int(match[3])], int(match[4]))


def event_mark(secret: str, token: str, event_key: str) -> str:
    """Sign the event of a link, so that its first action is known at once.

    This works while Postgres is away. It is beside the token, which earlier versions read too.
    """
    key = event_key.replace("-", "")
    return f"{key}.{_mark(secret, token, key)}"


def verify_event_mark(secrets: Sequence[str], token: str, mark: str) -> str:
    """Return the key of the event of a link.

    Any of `secrets` may have signed it.

    Raises:
        TokenError: It was not made by us for this token.
    """
    match = _EVENT_MARK.fullmatch(mark)
    if match is None or not any(
        hmac.compare_digest(_mark(secret, token, match[1]), match[2]) for secret in secrets
    ):
        raise TokenError("this link is not valid; open it again from the card", expired=False)
    return _dashed(match[1])


def _mark(secret: str, token: str, key: str) -> str:
    content = f"{token}.{key}".encode()
    return _encoded(
        hmac.digest(secret.encode(), b"notifier event\x00" + content, "sha256")[:16]
    )


def _dashed(raw: str) -> str:
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


@lru_cache(maxsize=_KEYS_KNOWN)
def _webhook_key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        with suppress(binascii.Error):
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode()


def _signature(secret: str, claim: str) -> str:
    return _encoded(
        hmac.digest(secret.encode(), b"notifier action\x00" + claim.encode(), "sha256")
    )


def _encoded(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode()
