"""Who published an entry: HMAC signatures of producers over the entry's own fields."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from notifier.events import SIGNATURE_FIELD
from notifier.signing import KeySet, key_fault

OWN_NAME = "notifier"
"""Signs what the daemon itself publishes; no producer may have this name."""

_FIELD = SIGNATURE_FIELD.encode()
_SIGNATURE = re.compile(rb"([a-z0-9][a-z0-9_.-]{0,63}):([0-9a-f]{64})")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class ProducerKey:
    """One key of one producer; a producer may have several while they change."""

    name: str
    key: SecretStr


def parse_producer_key(text: str) -> ProducerKey:
    """Read `name:key`.

    Raises:
        ValueError: It cannot be used; says why without the key.
    """
    name, colon, key = text.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise ValueError("must be name:key, the name of a-z, 0-9, dot, dash and underscore")
    if name == OWN_NAME:
        raise ValueError(f'the name "{OWN_NAME}" is kept for notifier itself; take another')
    fault = key_fault(key)
    if fault:
        raise ValueError(f"key of {name} {fault}")
    return ProducerKey(name, SecretStr(key))


def canonical(fields: Mapping[bytes, bytes]) -> bytes:
    """Return what is signed: every field but `signature`, sorted by the bytes of its name, as `3:abc=2:de` and a line feed."""
    return b"".join(
        b"%d:%b=%d:%b\n" % (len(name), name, len(value), value)
        for name, value in sorted(fields.items())
        if name != _FIELD
    )


def sign(name: str, key: bytes, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the entry with its signature."""
    raw = {field.encode(): value.encode() for field, value in fields.items()}
    return {**fields, SIGNATURE_FIELD: f"{name}:{_digest(key, raw)}"}


def sign_own(keys: KeySet | None, fields: Mapping[str, str]) -> dict[str, str]:
    """Sign an entry of the daemon itself with a key made from the HMAC key; without one it stays as it is."""
    if keys is None:
        return dict(fields)
    return sign(OWN_NAME, _own_key(keys.texts[0]), fields)


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose entries are taken."""

    required: bool
    producers: tuple[ProducerKey, ...] = ()
    own: KeySet | None = None

    def fault(self, fields: Mapping[bytes, bytes]) -> str | None:
        """Return why an entry is not taken, None when it is."""
        signature = fields.get(_FIELD)
        if signature is None:
            return (
                "signature: is missing; sign the entry as docs/producers.md says"
                if self.required
                else None
            )
        if not self.required and not self.producers:
            return None
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            return "signature: must be name:, then 64 hexadecimal digits in lower case"
        keys = list(self._keys(match[1].decode()))
        if not keys:
            return "signature: no key of this producer is known; add it to TEAMS_PRODUCER_KEYS"
        if not any(
            hmac.compare_digest(_digest(key, fields).encode(), match[2]) for key in keys
        ):
            return (
                "signature: does not fit the entry; it was altered, or signed with another key"
            )
        return None

    def _keys(self, name: str) -> Iterator[bytes]:
        if name == OWN_NAME:
            yield from (_own_key(text) for text in (self.own.texts if self.own else ()))
        yield from (_bytes(each.key) for each in self.producers if each.name == name)


def key_bytes(key: ProducerKey) -> bytes:
    """Return the key as the HMAC takes it: the text as it is written."""
    return _bytes(key.key)


def _bytes(key: SecretStr) -> bytes:
    return key.get_secret_value().encode()


def _own_key(text: str) -> bytes:
    return hmac.digest(text.encode(), b"notifier own events", "sha256")


def _digest(key: bytes, fields: Mapping[bytes, bytes]) -> str:
    return hmac.digest(key, canonical(fields), "sha256").hex()
