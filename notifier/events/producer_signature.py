"""HMAC signatures of producers over the fields of their entries."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace
from pydantic import SecretStr

from notifier.events.entry import EVENT_KEY_MEMBER, SIGNATURE_FIELD, Event
from notifier.events.signing import KeySet, key_fault
from notifier.events.times import entry_time

OWN_NAME = "notifier"
"""Signs what the daemon itself publishes; no producer may have this name."""

OWN_PREFIX = "notifier."
"""Types of events that only the daemon publishes begin with this, in any case."""

STREAM_MEMBER = "signed_for"
"""Member of an own event's data: the stream that it was signed for, so that a copy counts in no other."""

EARLIER_MEMBER = "signed_before"
"""Member of an own event's data: signatures by earlier keys, over the fields but this one, for processes that do not know the new key yet."""

_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN_ID = re.compile(
    r"(?:escalation|escalated|acknowledged):[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b.*",
    re.IGNORECASE | re.DOTALL,
)
"""Ids of own events can be worked out by anybody: who used one first would have the daemon's own event dropped as a duplicate."""

_MOST_EARLIER = 10
_LEAST_FRESH_SECONDS = 3600.0
"""Between making an own event and adding it; clocks of servers may differ too."""
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
    """Return the signed bytes: all fields but `signature`, sorted by name.

    Each is written as `3:abc=2:de` and a line feed, sorted by the bytes of its name.
    """
    return b"".join(
        b"%d:%b=%d:%b\n" % (len(name), name, len(value), value)
        for name, value in sorted(fields.items())
        if name != _FIELD
    )


def sign(name: str, key: bytes, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the entry with its signature."""
    raw = {field.encode(): value.encode() for field, value in fields.items()}
    return {**fields, SIGNATURE_FIELD: f"{name}:{_digest(key, raw)}"}


def sign_own(keys: KeySet | None, stream: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Sign an entry of the daemon for one stream, if there is an HMAC key.

    The key is derived from the HMAC key; without one the entry is unchanged.
    """
    if keys is None:
        return dict(fields)
    current, *earlier = map(_own_key, keys.texts)
    said = {**fields, STREAM_MEMBER: stream}
    if earlier:
        raw = {name.encode(): value.encode() for name, value in said.items()}
        said[EARLIER_MEMBER] = " ".join(_digest(key, raw) for key in earlier)
    return sign(OWN_NAME, current, said)


def is_own(event: Event) -> bool:
    """Tell whether only the daemon itself may publish such an event."""
    return event.type.lower().startswith(OWN_PREFIX) or _OWN_ID.fullmatch(event.id) is not None


def unpacked(event: Event, *, believed: bool) -> Event:
    """Return an own event without its private members.

    They are kept only if the signature was verified.
    """
    event.data.pop(STREAM_MEMBER, None)
    event.data.pop(EARLIER_MEMBER, None)
    key = event.data.pop(EVENT_KEY_MEMBER, None)
    if believed and isinstance(key, str) and _KEY.fullmatch(key):
        return replace(event, of_event=key)
    return event


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
                "signature: is missing; sign the entry as docs/how-to/publish-events.md says"
                if self.required
                else None
            )
        if not self.required and not self.producers:
            return None
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            return "signature: must be name:, then 64 hexadecimal digits in lower case"
        if not any(True for _ in self._keys(match[1].decode())):
            return "signature: no key of this producer is known; add it to TEAMS_PRODUCER_KEYS"
        if not self._signed(match, fields):
            return (
                "signature: does not fit the entry; it was altered, or signed with another key"
            )
        return None

    def signer(self, fields: Mapping[bytes, bytes]) -> str | None:
        """Return whose signature an entry claims to have, which may be forged."""
        match = _SIGNATURE.fullmatch(fields.get(_FIELD, b""))
        return match[1].decode() if match else None

    def own_fault(
        self,
        event: Event,
        fields: Mapping[bytes, bytes],
        *,
        now: datetime,
        fresh_seconds: float,
    ) -> str | None:
        """Return why an event that only the daemon may publish is refused.

        It returns None if the event is accepted.

        Without an HMAC key all are accepted; their cards then have no links that act.

        Args:
            event: Event as read from the entry.
            fields: The entry.
            now: The current time.
            fresh_seconds: How long its id keeps a copy out; a copy that comes later still is refused by its age.
        """
        if self.own is None:
            return None
        match = _SIGNATURE.fullmatch(fields.get(_FIELD, b""))
        if match is None or match[1] != OWN_NAME.encode() or not self._signed(match, fields):
            return f"signature: types {OWN_PREFIX}… and ids of escalations are notifier's own and need its signature; use another type and id"
        if event.data.get(STREAM_MEMBER, event.stream) != event.stream:
            return "signature: is for another stream; an entry of notifier's own was copied"
        # A producer can choose an entry's id, but not for an entry of the past.
        added = min(entry_time(event.entry_id), now)
        fresh = timedelta(seconds=max(fresh_seconds, _LEAST_FRESH_SECONDS))
        if added - event.time > fresh:
            return (
                "signature: is much older than the entry; an entry of notifier's own was copied"
            )
        return None

    def _signed(self, match: re.Match[bytes], fields: Mapping[bytes, bytes]) -> bool:
        keys = list(self._keys(match[1].decode()))
        if any(hmac.compare_digest(_digest(key, fields).encode(), match[2]) for key in keys):
            return True
        earlier = fields.get(EARLIER_MEMBER.encode())
        if earlier is None or match[1] != OWN_NAME.encode():
            return False
        rest = {name: fields[name] for name in fields if name != EARLIER_MEMBER.encode()}
        given = earlier.split()[:_MOST_EARLIER]
        return any(
            hmac.compare_digest(_digest(key, rest).encode(), each)
            for key in keys
            for each in given
        )

    def _keys(self, name: str) -> Iterator[bytes]:
        if name == OWN_NAME:
            yield from (_own_key(text) for text in (self.own.texts if self.own else ()))
        yield from (key_bytes(each) for each in self.producers if each.name == name)


def key_bytes(key: ProducerKey) -> bytes:
    """Return the key as the HMAC takes it: the text as it is written."""
    return key.key.get_secret_value().encode()


def _own_key(text: str) -> bytes:
    return hmac.digest(text.encode(), b"notifier own events", "sha256")


def _digest(key: bytes, fields: Mapping[bytes, bytes]) -> str:
    return hmac.digest(key, canonical(fields), "sha256").hex()
