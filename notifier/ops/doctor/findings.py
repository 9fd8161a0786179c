"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works; it may not when it counts."""
    FAULT = "fault"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found and, unless all is well, the command or setting that mends it."""

    check: str
    level: Level
    what: str
    fix: str = ""


def fine(check: str, what: str) -> Finding:
    """Return what is as it should be."""
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, fix: str) -> Finding:
    """Return what works for now."""
    return Finding(check, Level.WARNING, what, fix)


def fault(check: str, what: str, fix: str) -> Finding:
    """Return what does not work."""
    return Finding(check, Level.FAULT, what, fix)


def told(
    check: str, message: str, *, otherwise: str = "fix it, then: notifier doctor"
) -> Finding:
    """Return an error's message as a fault; what stands after its last semicolon is the fix, else `otherwise`."""
    what, semicolon, fix = message.rpartition("; ")
    return fault(check, what, fix) if semicolon else fault(check, message, otherwise)
