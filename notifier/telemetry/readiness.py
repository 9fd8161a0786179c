"""What /readyz says: whether the process can do its work, and the state of all that it leans on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue


class ServerState(StrEnum):
    """How a server fares."""

    OK = "ok"
    FAULT = "fault"
    UNUSED = "unused"
    """This process has no need of it."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and what is wrong with it."""

    state: ServerState
    detail: str = ""
    missing_migrations: Sequence[str] = ()
    """Of Postgres: what `notifier migrate up` would apply."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel as this process sees it."""

    webhook: str
    """configured, placeholder, missing or unusable."""
    detail: str = ""
    """What its webhook answered that people have to mend."""
    breaker: str = "unused"
    """closed or open; unused where this process does not deliver."""
    paused_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SecretsState:
    """Where secrets stand, without any of them."""

    vault: str
    """off, ok or away."""
    signing_key: str
    """configured or missing."""
    admin_token: str
    """configured or missing."""
    key_ids: Sequence[str] = ()
    """Ids of the signing keys, the current one first."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """One answer of /readyz; its members and their values are documented for monitoring and only ever added to."""

    instance: str
    ready: bool
    parts: Mapping[str, str]
    warnings: Mapping[str, str]
    redis: Server
    postgres: Server
    secrets: SecretsState
    channels: Mapping[str, ChannelState]
    version: str = ""

    def body(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "status": "ready" if self.ready else "not ready",
            "instance": self.instance,
            "version": self.version,
            "redis": {"state": self.redis.state.value, "detail": self.redis.detail},
            "postgres": {
                "state": self.postgres.state.value,
                "detail": self.postgres.detail,
                "missing_migrations": list(self.postgres.missing_migrations),
            },
            "secrets": {
                "vault": self.secrets.vault,
                "signing_key": self.secrets.signing_key,
                "admin_token": self.secrets.admin_token,
                "key_ids": list(self.secrets.key_ids),
            },
            "channels": {
                name: {
                    "webhook": channel.webhook,
                    "breaker": channel.breaker,
                    "paused_seconds": round(channel.paused_seconds, 1),
                    "detail": channel.detail,
                }
                for name, channel in self.channels.items()
            },
            "parts": dict(self.parts),
            "warnings": dict(self.warnings),
        }
