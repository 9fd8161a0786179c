"""The breaker of a channel: after failures it allows one probe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Admission(Enum):
    """Whether a post may start now."""

    GO = "go"
    PROBE = "probe"
    """Go, as the only one; its result closes the breaker or keeps it open."""
    WAIT = "wait"


@dataclass(slots=True)
class Breaker:
    """State of one channel in this process.

    Times are monotonic seconds from the caller.
    """

    failures_to_open: int
    open_seconds: float
    failures: int = 0
    open_until: float | None = None
    probing: bool = False

    @property
    def closed(self) -> bool:
        """Tell whether the channel counts as well."""
        return self.open_until is None

    def admit(self, now: float) -> Admission:
        """Say whether a post may start; PROBE is given to one caller at a time."""
        if self.open_until is None:
            return Admission.GO
        if self.probing or now < self.open_until:
            return Admission.WAIT
        self.probing = True
        return Admission.PROBE

    def succeeded(self) -> None:
        """Note an answer of a working channel: accepted, or refused permanently."""
        self.failures = 0
        self.open_until = None
        self.probing = False

    def failed(self, now: float) -> None:
        """Note a transient failure."""
        self.failures += 1
        if self.failures >= self.failures_to_open:
            self.open_until = now + self.open_seconds

    def probe_ended(self) -> None:
        """Let another post probe; the prober gave up without an answer."""
        self.probing = False
