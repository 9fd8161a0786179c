"""Judge how far a server's clock is from ours: waits, leases and links are counted by both."""

from __future__ import annotations

from notifier.telemetry.findings import Finding, fault, warning

_WORTH_A_LOOK_SECONDS = 2.0
_TOO_FAR_SECONDS = 60.0


def clock_findings(check: str, server: str, ahead_seconds: float) -> list[Finding]:
    """Return what is to be said of a clock that is so far ahead; nothing when it is right."""
    away = abs(ahead_seconds)
    if away < _WORTH_A_LOOK_SECONDS:
        return []
    which = "ahead of" if ahead_seconds > 0 else "behind"
    what = f"the clock of {server} is {away:.0f} s {which} this machine's"
    fix = "let both follow NTP; see: timedatectl timesync-status"
    return [(fault if away >= _TOO_FAR_SECONDS else warning)(check, what, fix)]
