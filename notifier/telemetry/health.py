"""The health of each component of a process, and the answer of /readyz."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from pydantic import JsonValue


@dataclass(slots=True)
class Health:
    """State by component; one is healthy once it has worked."""

    components: dict[str, str] = field(default_factory=dict)
    """Name → "ok", "starting", or why it failed."""
    optional: set[str] = field(default_factory=set)
    """Components whose failure leaves the process ready."""
    warnings: dict[str, str] = field(default_factory=dict)
    """Name → why it is degraded; the process stays ready."""
    beats: dict[str, float] = field(default_factory=dict)
    """Name of a loop → monotonic seconds of its latest progress."""

    def beat(self, loop: str, now: float) -> None:
        """Note progress of a loop; a time in the future allows a wait until then."""
        self.beats[loop] = now

    def stop_beat(self, loop: str) -> None:
        """Expect no more progress of a loop: it has ended."""
        self.beats.pop(loop, None)

    def stalled(self, now: float, seconds: float) -> list[str]:
        """Return the loops without progress for this long."""
        return sorted(loop for loop, beat in self.beats.items() if now - beat > seconds)

    def expect(self, component: str, *, required: bool = True) -> None:
        """Add a component that must be tried before the process is ready.

        A required one must also be healthy. To expect a component twice changes nothing.
        """
        if component in self.components:
            return
        self.components[component] = "starting"
        if not required:
            self.optional.add(component)

    def mark_healthy(self, component: str) -> bool:
        """Note that a component works; returns whether its state changed."""
        changed = self.components.get(component) != "ok"
        self.components[component] = "ok"
        return changed

    def mark_failed(self, component: str, reason: str) -> bool:
        """Note why a component does not work; returns whether its state changed.

        A component that was not expected is optional.
        """
        if component not in self.components:
            self.optional.add(component)
        changed = self.components.get(component) != reason
        self.components[component] = reason
        return changed

    def mark_ended(self, loop: str, reason: str) -> None:
        """Note that a loop has ended: the process is not ready without it."""
        self.components[loop] = reason
        self.optional.discard(loop)
        self.stop_beat(loop)

    def forget(self, component: str) -> None:
        """Remove a component that is gone, or whose state is out of date."""
        self.components.pop(component, None)
        self.optional.discard(component)

    def warn(self, component: str, reason: str | None) -> bool:
        """Note why a component is degraded, or None; returns whether it changed."""
        changed = self.warnings.get(component) != reason
        if reason is None:
            self.warnings.pop(component, None)
        else:
            self.warnings[component] = reason
        return changed

    @property
    def ready(self) -> bool:
        """Tell whether each component was tried and each required one is healthy."""
        return all(
            state == "ok" or (component in self.optional and state != "starting")
            for component, state in self.components.items()
        )

    @property
    def degraded(self) -> dict[str, str]:
        """Return the warnings and the failed optional components, with reasons."""
        failing = {
            component: state
            for component, state in self.components.items()
            if component in self.optional and state not in ("ok", "starting")
        }
        return {**failing, **self.warnings}


def _ignore(seconds: float) -> None:
    """Serve waits outside of a loop, which nobody watches."""


_ON_WAIT: ContextVar[Callable[[float], None]] = ContextVar("on_wait", default=_ignore)


def on_wait(listener: Callable[[float], None]) -> None:
    """Call the listener for each announced wait of this task and its tasks."""
    _ON_WAIT.set(listener)


def announce_wait(seconds: float) -> None:
    """Announce a step of at most this many seconds; 0: the step is over."""
    _ON_WAIT.get()(seconds)


class ServerState(StrEnum):
    """State of a server, as /readyz shows it."""

    OK = "ok"
    FAULT = "fault"
    UNUSED = "unused"
    """This process does not need it."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and why it failed."""

    state: ServerState
    detail: str = ""
    missing_migrations: Sequence[str] = ()
    """Of Postgres: the migrations that `notifier migrate up` would apply."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel as this process sees it."""

    webhook: str
    """configured, placeholder, missing or unusable."""
    detail: str = ""
    """The answer of its webhook that people have to act on."""
    breaker: str = "unused"
    """closed or open; unused where this process does not deliver."""
    paused_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SecretsState:
    """The state of secrets, without any value."""

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
    """One answer of /readyz; no documented member is ever renamed."""

    instance: str
    ready: bool
    components: Mapping[str, str]
    warnings: Mapping[str, str]
    redis: Server
    postgres: Server
    secrets: SecretsState
    channels: Mapping[str, ChannelState]
    version: str = ""

    def body(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        body = asdict(self)
        del body["redis"]["missing_migrations"]
        body["status"] = "ready" if body.pop("ready") else "not ready"
        body["parts"] = body.pop("components")
        return body
