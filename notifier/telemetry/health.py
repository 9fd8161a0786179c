"""Whether each part of the daemon does its work, for /readyz."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """State by part; a part is ready once it has worked and has not failed since."""

    parts: dict[str, str] = field(default_factory=dict)
    """Name → "ok", "starting", or what is wrong."""
    aside: set[str] = field(default_factory=set)
    """Parts without which the process does its work all the same."""
    warnings: dict[str, str] = field(default_factory=dict)
    """Name → what a person should look at; the daemon is ready all the same."""

    beats: dict[str, float] = field(default_factory=dict)
    """Name of a loop → monotonic seconds at which it last made progress."""

    def beat(self, loop: str, now: float) -> None:
        """Note that a loop makes progress, or will by a time that lies ahead: it waits for something that is bounded."""
        self.beats[loop] = now

    def rests(self, loop: str) -> None:
        """Note that a loop has ended and makes no progress any more."""
        self.beats.pop(loop, None)

    def stalled(self, now: float, seconds: float) -> list[str]:
        """Return the loops without progress for this long."""
        return sorted(loop for loop, beat in self.beats.items() if now - beat > seconds)

    def expect(self, part: str, *, vital: bool = True) -> None:
        """Name a part that must have been tried before the daemon is ready, and a vital one must work; naming it again changes nothing."""
        if part in self.parts:
            return
        self.parts[part] = "starting"
        if not vital:
            self.aside.add(part)

    def works(self, part: str) -> bool:
        """Note that a part has done its work; returns whether that is news."""
        news = self.parts.get(part) != "ok"
        self.parts[part] = "ok"
        return news

    def fails(self, part: str, why: str) -> bool:
        """Note what keeps a part from its work; returns whether that is news. One that nobody expected is not vital."""
        if part not in self.parts:
            self.aside.add(part)
        news = self.parts.get(part) != why
        self.parts[part] = why
        return news

    def ended(self, part: str, why: str) -> None:
        """Note that a loop is gone for good: without it the process is not ready, whatever it did."""
        self.parts[part] = why
        self.aside.discard(part)
        self.rests(part)

    def forget(self, part: str) -> None:
        """Expect a part no longer: it was taken away, or what is known of it is out of date."""
        self.parts.pop(part, None)
        self.aside.discard(part)

    def warns(self, part: str, why: str | None) -> bool:
        """Note what a person should look at though the work goes on (None: no longer); returns whether that is news."""
        news = self.warnings.get(part) != why
        if why is None:
            self.warnings.pop(part, None)
        else:
            self.warnings[part] = why
        return news

    @property
    def ready(self) -> bool:
        """Tell whether every part has been tried and every vital one works."""
        return all(
            state == "ok" or (part in self.aside and state != "starting")
            for part, state in self.parts.items()
        )

    @property
    def worries(self) -> dict[str, str]:
        """Return what a person should look at though the daemon may be ready: warnings, and parts that are not vital."""
        failing = {
            part: state
            for part, state in self.parts.items()
            if part in self.aside and state not in ("ok", "starting")
        }
        return {**failing, **self.warnings}
