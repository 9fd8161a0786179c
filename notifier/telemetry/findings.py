"""The result of a check: how bad it is, where, why, and how to fix it.

`notifier doctor`, `notifier config check` and `notifier cards check` all print these, in one table and in one JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works now, and may fail later."""
    FAULT = "fault"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked."""

    check: str
    """Name of the check, such as "redis" or "cards"."""
    level: Level
    message: str
    """The result; never a secret."""
    fix: str = ""
    """The command or setting that fixes it; empty if nothing needs a fix."""
    where: str = ""
    """File and place, or server, if the check looks at several."""

    @override
    def __str__(self) -> str:
        """Return one line without the level: `where: message; fix`."""
        where = f"{self.where}: " if self.where else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{where}{self.message}{fix}"

    @property
    def as_json(self) -> dict[str, str]:
        """Return the finding as every command with --json prints it."""
        return {
            "check": self.check,
            "level": self.level.value,
            "where": self.where,
            "what": self.message,
            "fix": self.fix,
        }


def ok(check: str, message: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, fix: str, *, where: str = "") -> Finding:
    """Return a finding about something that works now and may fail later."""
    return Finding(check, Level.WARNING, message, fix, where)


def fault(check: str, message: str, fix: str, *, where: str = "") -> Finding:
    """Return a finding about something that does not work."""
    return Finding(check, Level.FAULT, message, fix, where)


def fault_of(
    check: str, text: str, *, otherwise: str = "fix it, then: notifier doctor"
) -> Finding:
    """Make a fault of an error's message: its fix follows the last semicolon."""
    message, semicolon, fix = text.rpartition("; ")
    return fault(check, message, fix) if semicolon else fault(check, text, otherwise)


def warning_of(check: str, text: str) -> Finding:
    """Return a text as a warning: its fix follows the last semicolon."""
    message, semicolon, fix = text.rpartition("; ")
    return warning(check, message, fix) if semicolon else warning(check, text, "")


def by_cause(found: Iterable[tuple[str, str | None]]) -> list[str]:
    """Name each cause once, with its first place and the number of others."""
    places: dict[str, list[str]] = {}
    for place, why in found:
        if why is not None:
            places.setdefault(why, []).append(place)
    return [
        f"{first}{f' and {len(more)} more' if more else ''}: {why}"
        for why, (first, *more) in places.items()
    ]


def count(findings: Sequence[Finding], level: Level) -> int:
    """Return how many findings are of this level."""
    return sum(finding.level is level for finding in findings)
